"""`robot-policy critic-report CRITIC --dataset DATASET`: how good a critic is."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from robot_policy.cli.sampling_options import parse_options
from robot_policy.core.errors import ConfigError
from robot_policy.core.files import write_json
from robot_policy.core.specs import check_runs_on
from robot_policy.critics.diagnosis import DiagnosisConfig


@dataclass(frozen=True)
class CriticReportConfig:
    """Measure how good a critic is on recorded episodes."""

    critic: Positional[Path]
    """A training run, one of its checkpoints, or a critic folder."""
    dataset: Path
    """Episodes to ask about; best ones it was not trained on."""
    output: Path | None = None
    """HTML file to write."""
    policy: Path | None = None
    """Policy whose candidates are judged, for the curves over K."""
    options: tuple[str, ...] = ()
    """How the policy draws, as key=value: temperature=1, for example."""
    json: Path | None = None
    """Also write the figures to this file."""
    device: str = "cpu"
    """Where critic and policy run: cpu, cuda or auto."""
    measure: Annotated[DiagnosisConfig, arg(name="")] = field(default_factory=DiagnosisConfig)
    """What is measured."""


def run(config: CriticReportConfig) -> int:
    """Measures, prints a summary, and writes what was asked for."""
    for option, path in (("--output", config.output), ("--json", config.json)):
        if path is not None and path.is_dir():
            raise ConfigError("a folder", where=f"{option} {path}", expected="a file")
    figures = _measure(config)
    _show(figures)
    if config.json is not None:
        write_json(config.json, figures)
    if config.output is not None:
        from sim.critic_report import write_critic_report

        write_critic_report(config.output, figures)
        print(f"report: {config.output}")
    return 0


def _measure(config: CriticReportConfig) -> dict[str, Any]:
    from robot_policy.checkpoint import load_policy, load_scorer
    from robot_policy.critics.diagnosis import Diagnosis
    from robot_policy.critics.labels import LabelConfig, label
    from robot_policy.data.store import EpisodeStore
    from robot_policy.runtime.policy_folder import PolicyFolder

    scorer = load_scorer(config.critic, device=config.device)
    settings = PolicyFolder.find(config.critic).config()
    labels = LabelConfig(**settings["labels"])
    store = EpisodeStore.open(config.dataset, cameras=tuple(scorer.spec.cameras))
    check_runs_on(
        scorer.spec, store.spec, where=f"critic {config.critic} on dataset {config.dataset}"
    )
    policy = None
    if config.policy is not None:
        options = parse_options(config.options, checkpoint=config.policy)
        policy = load_policy(config.policy, device=config.device, options=options)
        where = f"critic {config.critic} for policy {config.policy}"
        check_runs_on(scorer.spec, policy.spec, where=where)
    labelled = label(
        labels,
        lengths=[episode.length for episode in store.episodes],
        successes=[episode.success for episode in store.episodes],
        recorded=store.rewards,
        where=config.dataset,
    )
    found = Diagnosis(scorer, store, labelled, config.measure).run(policy)
    return {
        "critic": str(config.critic),
        "kind": scorer.name,
        "dataset": str(config.dataset),
        "policy": None if config.policy is None else str(config.policy),
        "labels": asdict(labels),
        "measure": asdict(config.measure),
        **found,
    }


def _show(figures: dict[str, Any]) -> None:
    calibration = figures["calibration"]
    rows = [
        ("rank correlation with the return", calibration["spearman"]),
        ("successes above failures at the same time", calibration["auc"]),
        *((f"recorded above {name}", share) for name, share in figures["ranking"].items()),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {'none' if value is None else f'{value:.3f}'}")
    for row in figures["candidates"]:
        print(
            f"K = {row['candidates']:<4} distance to what worked: picked {row['picked']:.3f}, "
            f"cautious {row['cautious']:.3f}, random {row['random']:.3f}, "
            f"closest {row['closest']:.3f}"
        )
