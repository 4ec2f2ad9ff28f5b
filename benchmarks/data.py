"""Measures what is promised about data; writes benchmarks/results/data.json.

Stopped and run again it goes on: what is measured is not measured again, unless its file in
runs/data is removed.
"""

import sys

import data_conversion
import data_foreign
import data_fuzz
import data_loader
import data_memory
import data_peers
from parts import run_parts

PARTS = (data_fuzz, data_conversion, data_peers, data_memory, data_loader, data_foreign)
"""Modules with jobs(), rows() and targets(known), `known` being rows by cell."""


def main() -> int:
    """Returns 1 if a job failed; the others are kept and written."""
    return run_parts("data", PARTS, logs=data_loader.FOLDER / "logs", about=__doc__)


if __name__ == "__main__":
    sys.exit(main())
