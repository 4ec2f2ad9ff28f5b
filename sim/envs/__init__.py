"""The tasks of the twin."""
