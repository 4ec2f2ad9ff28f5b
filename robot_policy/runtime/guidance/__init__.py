"""Steers any policy at run time by what scorers say of its candidates."""
