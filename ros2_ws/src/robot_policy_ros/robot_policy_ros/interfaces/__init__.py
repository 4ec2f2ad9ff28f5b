"""The message forms in which arms and grippers take their commands, one per file."""
