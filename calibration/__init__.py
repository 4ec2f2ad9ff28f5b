"""Calibration of cameras and arms; pure functions."""
