"""Scripted experts, which solve the tasks of the twin by looking at the poses of objects."""
