"""Prints every target of benchmarks/results, those that do not hold first."""

import sys

from measure import RESULTS, load_targets, print_targets


def main() -> int:
    """Returns 1 if there are no results."""
    files = sorted(RESULTS.glob("*.json"))
    targets = [target for file in files for target in load_targets(file)]
    if not targets:
        print(f"no results in {RESULTS}; run `make bench`", file=sys.stderr)
        return 1
    print_targets(targets)
    held = sum(target.holds for target in targets)
    open_ = sum(target.measured is None and not target.holds for target in targets)
    print(f"{held} of {len(targets)} targets hold, {open_} are not measured")
    return 0


if __name__ == "__main__":
    sys.exit(main())
