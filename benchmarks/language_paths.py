"""Where the language benchmark keeps what it measures, and how it is run again."""

from measure import ROOT

FOLDER = ROOT / "runs" / "language"
AGAIN = "python benchmarks/language.py"
