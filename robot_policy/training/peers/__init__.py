"""The trainings of other libraries on our data, and their results as our checkpoints."""
