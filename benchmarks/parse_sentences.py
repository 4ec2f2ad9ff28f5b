"""How many held-out sentences the parser understands, and how many wrong motions it makes."""

import argparse
import sys
from pathlib import Path

from robot_policy.core.files import write_json
from robot_policy.core.robot import load_robot
from robot_policy.nets.language import HashingTextEncoder
from robot_policy.policies.primitives import PrimitiveSet
from robot_policy.policies.sentence_parser import Ask, SentenceParser

SENTENCES = Path(__file__).resolve().parents[1] / "tests/policies/data/sentences_held_out.txt"


def main() -> int:
    """Writes counts, and no sentence: what is seen is not held out any more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    understands = SentenceParser(
        PrimitiveSet.for_robot(load_robot("panda_twin")), HashingTextEncoder(1024)
    )
    lines = [line for line in SENTENCES.read_text().splitlines() if line and line[0] != "#"]
    cases = [(w, said) for line in lines for w, *rest in [line.split(" | ")] for said in rest]
    parsed = [(wanted, said, understands.parse(said)) for wanted, said in cases]
    wrong = [(w, m.code) for w, _, m in parsed if m.code != w]
    moved = [said for w, said, m in parsed if w == "ask" and m.ask is Ask.MOVE]
    result = {
        "sentences": len(cases),
        "meaningless": sum(wanted == "ask" for wanted, _ in cases),
        "right": len(cases) - len(wrong),
        "wrong_motions": len(moved),
        "other_motions": sum("ask" not in pair for pair in wrong),
    }
    write_json(arguments.json, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
