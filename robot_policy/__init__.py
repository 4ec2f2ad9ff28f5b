"""Learn manipulation policies from demonstrations and run them on an arm at control rate."""

__version__ = "0.1.0"
