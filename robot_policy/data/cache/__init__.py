"""Decoded datasets on disk, built once and mapped into memory."""
