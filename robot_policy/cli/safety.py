"""`robot-policy safety fit DATASET --output FILE`: where a robot has been, as a limit."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from robot_policy.core.errors import ConfigError
from robot_policy.core.files import write_json
from robot_policy.runtime.safety.feasible_states import (
    DEFAULT_MARGIN,
    DEFAULT_QUANTILE,
    FeasibleStates,
)


@dataclass(frozen=True)
class FitConfig:
    """Learn from a data set where the robot has been, so that it stops far from there."""

    dataset: Positional[Path]
    """Folder of the data set the policy is trained on."""
    output: Path
    """New file, for `eval --feasible`, `serve --feasible` and the node's parameter `feasible`."""
    quantile: float = DEFAULT_QUANTILE
    """Of the distances from each state to the nearest one of another episode."""
    margin: float = DEFAULT_MARGIN
    """The robot may be so many times that far from the nearest demonstrated state."""
    json: Path | None = None
    """Also write what was found to this file."""


def run_fit(config: FitConfig) -> int:
    """Reads every state of the data set and writes the file."""
    from robot_policy.data.store import EpisodeStore

    if config.output.exists():
        raise ConfigError("exists and will not be overwritten", where=config.output)
    store = EpisodeStore.open(config.dataset)
    states = FeasibleStates.fit(
        store.state,
        store.episode_of,
        names=store.spec.state.names,
        robot=store.spec.robot,
        quantile=config.quantile,
        margin=config.margin,
    )
    states.save(config.output)
    distances = states.facts["distances"]
    print(
        f"{config.output}: {states.facts['states']} states of {states.facts['episodes']} episodes\n"
        f"distance to the nearest state of another episode: {distances['p50']:.2f} (half), "
        f"{distances['p99']:.2f} (99 of 100), {distances['max']:.2f} (all)\n"
        f"the robot stops beyond {states.threshold:.2f}"
    )
    if config.json is not None:
        write_json(config.json, {**states.facts, "threshold": states.threshold})
    return 0
