"""The robosuite twin, its scripted experts, and the evaluation harness."""
