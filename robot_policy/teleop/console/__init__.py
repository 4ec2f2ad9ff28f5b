"""The console: a page in a browser that drives an arm and records it."""
