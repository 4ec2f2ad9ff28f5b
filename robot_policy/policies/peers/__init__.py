"""Policies of other libraries: their network, their loss and their way to draw, run as ours."""
