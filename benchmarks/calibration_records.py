"""Records of set-ups, kept one by one, so that a cell that was stopped goes on where it was."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

type Record = dict[str, Any]


def measured(path: Path, seeds: Iterable[int], measure: Callable[[int], Record]) -> list[Record]:
    """Returns the records of all seeds, in order; measures and appends those that are not there.

    Args:
        path: JSON lines, each with its ``seed``; a line counts once it ends in a newline.
        seeds: Of the set-ups.
        measure: Gives the record of one seed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text() if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    known = {record["seed"]: record for record in map(json.loads, whole.splitlines())}
    path.write_text(whole)
    for seed in seeds:
        if seed not in known:
            known[seed] = {"seed": seed} | measure(seed)
            with path.open("a") as file:
                file.write(json.dumps(known[seed]) + "\n")
    return [known[seed] for seed in seeds]
