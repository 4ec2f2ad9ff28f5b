"""Stops where the robot is far from every state that was demonstrated; learned from a data set.

A policy far outside of its data does something, but nobody has seen what. The distance to the
nearest demonstrated state tells it without a model: no clip can bring the robot back, so it stops.
"""

import importlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.files import replacing
from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Stage
from robot_policy.runtime.safety.sent import AT_REST, Sent

FORMAT_VERSION = 1

DEFAULT_QUANTILE = 0.99
DEFAULT_MARGIN = 2.0

_LEAST_SCALE = 0.02
"""An entry that hardly varies in the data is measured in this unit [rad, m, 1] at least, so that
sensor noise in it is not taken for a state never seen."""


@dataclass(frozen=True, slots=True, eq=False)
class FeasibleStates:
    """Demonstrated states, and how far from the nearest one the robot may be.

    The distance is Euclidean over entries divided by their standard deviation in the data. The
    threshold is `margin` times a quantile of the distances from each state to the nearest one of
    another episode: how far apart demonstrations are where they did not have to be.

    Attributes:
        points: (n, S) demonstrated states divided by `scale`.
        scale: (S,).
        threshold: Largest distance.
        names: S names of the entries.
        robot: Name of the robot.
        facts: How it was made, JSON-ready.
    """

    points: NDArray[np.float32]
    scale: NDArray[np.float32]
    threshold: float
    names: tuple[str, ...]
    robot: str
    facts: Mapping[str, Any]

    @classmethod
    def fit(
        cls,
        states: NDArray[np.float32],
        episode_of: NDArray[np.integer[Any]],
        *,
        names: tuple[str, ...],
        robot: str,
        quantile: float = DEFAULT_QUANTILE,
        margin: float = DEFAULT_MARGIN,
    ) -> "FeasibleStates":
        """Learns where the robot has been.

        Args:
            states: (n, S).
            episode_of: (n,) episode of each state.
            names: S names.
            robot: Name of the robot.
            quantile: Of the distances between episodes, 0 .. 1.
            margin: The threshold is so many times that quantile.

        Raises:
            DataError: If there are fewer than two episodes.
            ConfigError: If quantile or margin are out of range.
        """
        if not 0.0 < quantile <= 1.0:
            raise ConfigError("out of range", where="quantile", expected="0 .. 1", got=quantile)
        if not 0.0 < margin < np.inf:
            raise ConfigError("out of range", where="margin", expected="> 0", got=margin)
        scale = np.maximum(states.std(axis=0), _LEAST_SCALE).astype(np.float32)
        points = states / scale
        distances = distances_between_episodes(points, episode_of)
        threshold = margin * float(np.quantile(distances, quantile))
        facts = {
            "states": len(states),
            "episodes": len(np.unique(episode_of)),
            "quantile": quantile,
            "margin": margin,
            "distances": {
                "p50": float(np.quantile(distances, 0.5)),
                "p99": float(np.quantile(distances, 0.99)),
                "max": float(distances.max()),
            },
        }
        return cls(points, scale, threshold, names, robot, facts)

    def save(self, path: Path) -> None:
        """Writes one file, whole or not at all: arrays and a JSON text, nothing that is run."""
        facts = {
            "format_version": FORMAT_VERSION,
            "threshold": self.threshold,
            "names": list(self.names),
            "robot": self.robot,
            "facts": dict(self.facts),
        }
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, points=self.points, scale=self.scale, facts=np.array(json.dumps(facts)))

    @classmethod
    def load(cls, path: Path) -> "FeasibleStates":
        """Reads what `save` wrote.

        Raises:
            DataError: If the file is missing, damaged, or of another kind or version.
        """
        if not path.is_file():
            raise DataError("no such file", where=path)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                points, scale = arrays["points"], arrays["scale"]
                facts: dict[str, Any] = json.loads(str(arrays["facts"]))
            if facts["format_version"] != FORMAT_VERSION:
                raise ValueError(f"format version {facts['format_version']}")
            names = tuple(map(str, facts["names"]))
            threshold = float(facts["threshold"])
            sizes = points.ndim == 2 and scale.shape == (points.shape[1],) == (len(names),)
            numbers = np.isfinite(points).all() and (scale > 0).all() and threshold > 0
            if not (sizes and len(points) and numbers):
                raise ValueError("arrays do not fit each other")
            return cls(
                points.astype(np.float32),
                scale.astype(np.float32),
                threshold,
                names,
                str(facts["robot"]),
                facts["facts"],
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                "not a file of feasible states",
                where=path,
                got=error,
                hint="robot-policy safety fit writes one",
            ) from error

    def limit(self, robot: RobotDescription, *, where: object = None) -> "Feasibility":
        """Returns the limit for `robot`.

        Raises:
            ConfigError: If the states are of another robot.
        """
        expected = robot.state_spec.names
        if self.robot != robot.name or self.names != expected:
            raise ConfigError(
                "states of another robot",
                where=where,
                expected=f"{robot.name}, {len(expected)} entries",
                got=f"{self.robot}, {len(self.names)} entries",
            )
        return Feasibility(self)


class Feasibility:
    """Stops at a state that is farther from the demonstrated ones than they are from each other.

    Args:
        states: The demonstrated ones.
    """

    stage = Stage.CHECK

    def __init__(self, states: FeasibleStates) -> None:
        self.states = states
        self._nearest = _tree(states.points)

    def distance(self, state: NDArray[np.float32]) -> float:
        """Returns how far `state` (S,) is from the nearest demonstrated one."""
        return float(self._nearest.query(state / self.states.scale)[0])

    def restrict(
        self,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> Decision:
        """Returns the action unchanged, or stop."""
        del dt_s, sent
        distance, allowed = self.distance(state), self.states.threshold
        if distance <= allowed:
            return Decision(action)
        reason = f"far from every demonstrated state: {distance:.2f}, at most {allowed:.2f}"
        return Decision(action, (reason,), stop=True)


def distances_between_episodes(
    points: NDArray[np.floating[Any]], episode_of: NDArray[np.integer[Any]]
) -> NDArray[np.floating[Any]]:
    """Returns (n,) distances from each point to the nearest of another episode.

    Raises:
        DataError: If there are fewer than two episodes.
    """
    episodes = np.unique(episode_of)
    if len(episodes) < 2:
        raise DataError("needs at least two episodes", where="feasible states", got=len(episodes))
    distances = np.empty(len(points))
    for episode in episodes:
        own = episode_of == episode
        distances[own] = _tree(points[~own]).query(points[own])[0]
    return distances


def _tree(points: NDArray[np.floating[Any]]) -> Any:
    # Only who uses this limit needs scipy; it has no types.
    return importlib.import_module("scipy.spatial").cKDTree(points)
