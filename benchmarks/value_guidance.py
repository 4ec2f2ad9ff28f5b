"""What steering is worth, paired by seed; writes benchmarks/results/value_guidance.json.

Four pairs of task and policy, trained on data of mixed quality. Every cell is a command of its own
under runs/value_guidance; what is there is not done again, a training that was stopped goes on, so
the script can be ended and started at any time. Settings were chosen on seeds from 60000.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobs import Job, run_jobs, with_needs
from measure import ROOT
from value_guidance_report import SWEEP_K, Cell, write_report

FOLDER = ROOT / "runs" / "value_guidance"
AGAIN = "python benchmarks/value_guidance.py"
DEMONSTRATIONS = 200
ROLLOUTS = 200
ROLLOUT_SEED = 30_000
EPISODES = 200
CRITIC_STEPS = 6000
CANDIDATES = 16
VGPS_CANDIDATES = 50
"""The larger of the two that V-GPS was evaluated with."""
SWEPT_CRITICS = ("monte_carlo", "iql", "cal_ql", "preference")
DEFAULT_CRITIC = "monte_carlo"


@dataclass(frozen=True)
class Pair:
    """A policy of a task, trained so briefly that it fails now and then.

    Attributes:
        task: Of the twin.
        policy: Of the registry.
        steps: Gradient steps.
        seed: Of all its trainings.
    """

    task: str
    policy: str
    steps: int
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its cells."""
        again = f"-seed{self.seed}" if self.seed else ""
        return f"{self.task}-{self.policy}{again}"

    @property
    def run(self) -> Path:
        """Folder of the policy's run."""
        return FOLDER / "train" / self.name

    @property
    def rollouts(self) -> Path:
        """Dataset of its rollouts, failures included."""
        return FOLDER / "data" / f"{self.name}-rollouts"

    def critic(self, kind: str) -> Path:
        """Folder of a critic's run."""
        return FOLDER / "train" / f"{self.name}-{kind}"

    def result(self, variant: str) -> Path:
        """What the evaluation of a variant writes."""
        return FOLDER / "eval" / f"{self.name}@{variant}.json"


PAIRS = (
    Pair("can", "diffusion", 3000),
    Pair("square", "diffusion", 8000),
    Pair("stack", "flow", 4000),
    Pair("lift", "bc_gmm", 400),
)
SWEPT = PAIRS[0]
AGAIN_TRAINED = replace(PAIRS[-1], seed=1)
"""A pair that is trained once more, policy and critics, by the same commands with another seed."""
CRITICS = {
    "monte_carlo": ("monte_carlo",),
    "iql": ("iql",),
    "cal_ql": ("cal_ql",),
    "preference": ("preference",),
    "support": ("support",),
    # As published: two scalar heads, cost to go, the demonstrations alone.
    "vgps": (
        *("cal_ql", "--critic.head", "scalar", "--critic.ensemble", "2"),
        *("--labels.reward", "cost_to_go", "--labels.gamma", "0.98"),
    ),
}


def jobs(device: str) -> list[Job]:
    """Data, trainings and evaluations as commands."""
    listed: list[Job] = []
    for pair in (*PAIRS, AGAIN_TRAINED):
        kinds = ("support", "vgps", DEFAULT_CRITIC)
        listed += [_demonstrations(pair), _policy(pair, device), _rollouts(pair)]
        listed += [_critic(pair, kind, device) for kind in kinds]
        listed += [
            _evaluation(pair, variant, words, needs) for variant, words, needs in _variants(pair)
        ]
        listed.append(_oracle(pair))
    others = [kind for kind in SWEPT_CRITICS if kind != DEFAULT_CRITIC]
    listed += [_critic(SWEPT, kind, device) for kind in others]
    listed += [_evaluation(SWEPT, variant, words, needs) for variant, words, needs in _sweep()]
    return listed


def _demonstrations(pair: Pair) -> Job:
    folder = FOLDER / "data" / pair.task
    return Job(
        f"data-{pair.task}",
        (
            *("collect", pair.task, "--quality", "mixed", "--output", _relative(folder)),
            *("--episodes", str(DEMONSTRATIONS), "--workers", "1"),
            *("--json", _relative(folder.with_suffix(".json"))),
        ),
        folder.with_suffix(".json"),
        resume=("--resume",),
        started=folder / "meta" / "info.json",
    )


def _rollouts(pair: Pair) -> Job:
    folder, result = pair.rollouts, FOLDER / "eval" / f"{pair.name}-rollouts.json"
    return Job(
        f"rollouts-{pair.name}",
        (
            *("eval", _relative(pair.run), "--task", pair.task, "--record", _relative(folder)),
            *("--seed", str(ROLLOUT_SEED), "--episodes", str(ROLLOUTS), "--workers", "1"),
            *("--videos", "0", "--json", _relative(result)),
        ),
        result,
        (f"train-{pair.name}",),
    )


def _policy(pair: Pair, device: str) -> Job:
    return _training(
        pair.name,
        ("train", pair.policy),
        pair.run,
        [FOLDER / "data" / pair.task],
        steps=pair.steps,
        seed=pair.seed,
        device=device,
        needs=(f"data-{pair.task}",),
    )


def _critic(pair: Pair, kind: str, device: str) -> Job:
    data = [FOLDER / "data" / pair.task, *([] if kind == "vgps" else [pair.rollouts])]
    return _training(
        f"{pair.name}-{kind}",
        ("train-critic", *CRITICS[kind]),
        pair.critic(kind),
        data,
        steps=CRITIC_STEPS,
        seed=pair.seed,
        device=device,
        needs=(f"data-{pair.task}" if kind == "vgps" else f"rollouts-{pair.name}",),
    )


def _training(
    name: str,
    words: tuple[str, ...],
    run: Path,
    data: Sequence[Path],
    *,
    steps: int,
    seed: int,
    device: str,
    needs: tuple[str, ...],
) -> Job:
    summary = run.with_suffix(".json")
    command, what, *options = words
    return Job(
        f"train-{name}",
        (
            *(command, what, "--dataset", *map(_relative, data), "--output", _relative(run)),
            *("--steps", str(steps), "--seed", str(seed), "--device", device),
            *("--json", _relative(summary), *options),
        ),
        summary,
        needs=needs,
        resume=("--resume",),
        started=run / "checkpoints" / "last",
        threads_option="--threads",
    )


type Variant = tuple[str, tuple[str, ...], tuple[str, ...]]
"""Name, words of `eval`, kinds of critics that it needs."""


def _variants(pair: Pair) -> list[Variant]:
    return [
        ("base", (), ()),
        ("default", _default(pair, DEFAULT_CRITIC, CANDIDATES), (DEFAULT_CRITIC, "support")),
        (
            "vgps",
            (
                *("--steer", _relative(pair.critic("vgps")), "--strategy", "argmax"),
                *("--caution", "0", "--candidates", str(VGPS_CANDIDATES)),
            ),
            ("vgps",),
        ),
        ("random", ("--strategy", "random", "--candidates", str(CANDIDATES)), ()),
    ]


def _default(pair: Pair, kind: str, count: int) -> tuple[str, ...]:
    return (
        *("--steer", _relative(pair.critic(kind))),
        *("--support", _relative(pair.critic("support")), "--candidates", str(count)),
    )


def _sweep() -> list[Variant]:
    """Over K with the default, over strategies, over critics."""
    both = (DEFAULT_CRITIC, "support")
    listed: list[Variant] = []
    for count in SWEEP_K:
        listed.append((f"default_k{count}", _default(SWEPT, DEFAULT_CRITIC, count), both))
        plain = ("--steer", _relative(SWEPT.critic(DEFAULT_CRITIC)), "--caution", "0")
        listed.append((f"argmax_k{count}", (*plain, "--candidates", str(count)), both[:1]))
    for strategy in ("softmax", "spread_softmax", "weighted_mean"):
        words = (*_default(SWEPT, DEFAULT_CRITIC, CANDIDATES), "--strategy", strategy)
        listed.append((f"strategy_{strategy}", words, both))
    more = {
        "gaussian": ("--gaussian", "0.5"),
        "primitives": ("--primitives", "--candidates", "25"),
        "resample": ("--resample", "3"),
        "unsupported": (),
    }
    for name, words in more.items():
        support = () if name == "unsupported" else both[1:]
        chosen = _default(SWEPT, DEFAULT_CRITIC, CANDIDATES)
        chosen = (*chosen[:2], *chosen[4:]) if not support else chosen
        listed.append((f"candidates_{name}", (*chosen, *words), (DEFAULT_CRITIC, *support)))
    for kind in SWEPT_CRITICS:
        if kind != DEFAULT_CRITIC:
            words = _default(SWEPT, kind, CANDIDATES)
            listed.append((f"critic_{kind}", words, (kind, "support")))
    return listed


def _evaluation(pair: Pair, variant: str, words: tuple[str, ...], kinds: tuple[str, ...]) -> Job:
    path = pair.result(variant)
    return Job(
        f"eval-{pair.name}@{variant}",
        (
            *("eval", _relative(pair.run), "--task", pair.task, "--episodes", str(EPISODES)),
            *("--workers", "1", "--videos", "0", "--json", _relative(path), *words),
        ),
        path,
        needs=(
            f"train-{pair.name}",
            *(f"train-{pair.name}-{kind}" for kind in kinds),
            # What it is compared with.
            *(() if variant == "base" else (f"eval-{pair.name}@base",)),
        ),
    )


def _oracle(pair: Pair) -> Job:
    path = pair.result("oracle")
    return Job(
        f"eval-{pair.name}@oracle",
        (
            *("benchmarks/oracle_pick.py", _relative(pair.run), "--task", pair.task),
            *("--episodes", str(EPISODES), "--json", _relative(path)),
        ),
        path,
        needs=(f"train-{pair.name}", f"eval-{pair.name}@base"),
    )


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def main() -> int:
    """Returns 1 if a job failed; the others are kept and written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", help="only jobs whose name contains one of these")
    parser.add_argument("--at-once", type=int, default=2, help="jobs that run beside each other")
    parser.add_argument("--device", default="cpu", help="where networks are trained")
    parser.add_argument("--report", action="store_true", help="write what there is, run nothing")
    parser.add_argument("--list", action="store_true", help="name the jobs, run nothing")
    arguments = parser.parse_args()
    listed = jobs(arguments.device)
    if arguments.list:
        print("\n".join(f"{'done ' if job.done else '     '}{job.name}" for job in listed))
        return 0
    failed: list[str] = []
    if not arguments.report:
        chosen = with_needs(listed, arguments.only)
        failed = run_jobs(chosen, at_once=arguments.at_once, logs=FOLDER / "logs")
        for name in failed:
            print(f"value guidance: {name} failed; see {FOLDER / 'logs'}", file=sys.stderr)
    write_report(_cells(), [pair.name for pair in PAIRS], swept=SWEPT.name, again=AGAIN)
    return int(bool(failed))


def _cells() -> list[Cell]:
    """Everything that is evaluated, the policy alone before what is compared with it."""
    cells: list[Cell] = []
    for pair in (*PAIRS, AGAIN_TRAINED):
        variants = [name for name, _, _ in _variants(pair)] + ["oracle"]
        if pair == SWEPT:
            variants += [name for name, _, _ in _sweep()]
        cells += [Cell(pair.name, v, pair.result(v), pair.result("base")) for v in variants]
    return cells


if __name__ == "__main__":
    sys.exit(main())
