"""Datasets: store, windows, statistics, recorder, formats."""
