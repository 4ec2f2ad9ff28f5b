"""Episodes for the eye: as a page for any browser, and as a recording for rerun's viewer."""
