"""Limits between a policy and the arm, on by default."""
