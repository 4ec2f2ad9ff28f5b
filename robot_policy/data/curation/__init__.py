"""Choosing, labelling, splitting and joining episodes, without copying any."""
