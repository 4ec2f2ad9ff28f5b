"""Devices that an arm is driven with, behind topics; one per file."""
