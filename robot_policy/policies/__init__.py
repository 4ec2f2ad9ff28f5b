"""Policies, one file each, and their registry."""
