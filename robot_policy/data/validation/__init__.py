"""What is wrong with a dataset, where, and what to do about it."""
