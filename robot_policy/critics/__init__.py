"""Value functions and other scorers of action chunks."""
