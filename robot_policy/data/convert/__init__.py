"""Datasets from one format into another, without losing anything silently."""
