"""Measures what is promised about language; writes benchmarks/results/language.json.

Stopped and run again it goes on: what is measured is not measured again, unless its file in
runs/language is removed. Replays, parser and rate take minutes; the policies take hours on a GPU.
"""

import sys

import language_primitives
import language_suite
from language_paths import FOLDER
from language_tables import write_tables
from parts import run_parts

PARTS = (language_primitives, language_suite)
"""Modules with jobs(), rows() and targets(known), `known` being rows by cell."""


def main() -> int:
    """Returns 1 if a job failed; the others are kept and written."""
    return run_parts(
        "language", PARTS, logs=FOLDER / "logs", about=__doc__, write_tables=write_tables
    )


if __name__ == "__main__":
    sys.exit(main())
