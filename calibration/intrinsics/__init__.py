"""What a lens does to a picture."""
