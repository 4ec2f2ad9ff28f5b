"""Samples for calibrations: an arm moved through poses from which a camera sees a board."""
