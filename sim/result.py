"""The result of an evaluation, and the JSON file that holds it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np

from robot_policy.core.errors import DataError
from robot_policy.core.files import read_json, write_json
from robot_policy.core.steering_record import SteeringRecord
from sim.statistics import Interval, wilson_interval


class Via(StrEnum):
    """The way between policy and twin: function calls, or the ROS 2 nodes."""

    IN_PROCESS = "in_process"
    ROS2 = "ros2"


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """Outcome of one seed.

    Attributes:
        seed: Of the start.
        success: Whether the goal held long enough.
        steps: Actions executed.
        return_: Sum of the rewards; ``return`` in the file.
        stop: Why the safety filter stopped the arm, empty where it did not.
        limited_steps: Actions that the safety filter changed without stopping.
        held_steps: Steps in which the arm held because there was nothing to execute.
        policy_ms: Duration of every call of the policy [ms].
        steering: How every plan was chosen, where the policy was steered.
        jerk: Mean jerk of the commanded path [m/s^3, or rad/s^3 of joints], see `sim.jerk`; None
            where it was not recorded.
        measured_jerk: Mean jerk of the end effector [m/s^3], likewise.
    """

    seed: int
    success: bool
    steps: int
    return_: float
    stop: tuple[str, ...] = ()
    limited_steps: int = 0
    held_steps: int = 0
    policy_ms: tuple[float, ...] = ()
    steering: tuple[SteeringRecord, ...] = ()
    jerk: float | None = None
    measured_jerk: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        return {
            "seed": self.seed,
            "success": self.success,
            "steps": self.steps,
            "return": self.return_,
            "stop": list(self.stop),
            "limited_steps": self.limited_steps,
            "held_steps": self.held_steps,
            "jerk": self.jerk,
            "measured_jerk": self.measured_jerk,
            "policy_ms": [round(ms, 3) for ms in self.policy_ms],
            "steering": [record.to_json() for record in self.steering],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`; what `eval` adds beyond the four basic entries may be missing."""
        return cls(
            seed=_typed(data["seed"], int),
            success=_typed(data["success"], bool),
            steps=_typed(data["steps"], int),
            return_=float(data["return"]),
            stop=tuple(map(str, data.get("stop", ()))),
            limited_steps=_typed(data.get("limited_steps", 0), int),
            held_steps=_typed(data.get("held_steps", 0), int),
            jerk=_number(data.get("jerk")),
            measured_jerk=_number(data.get("measured_jerk")),
            policy_ms=tuple(map(float, data.get("policy_ms", ()))),
            steering=tuple(map(SteeringRecord.from_json, data.get("steering", ()))),
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """How an evaluation was run.

    Attributes:
        execute_steps: Ta, actions of a chunk executed before planning again.
        num_samples: N, candidates drawn per plan.
        max_steps: Actions after which an episode counts as failed.
        workers: Processes that stepped environments, 0 for none besides the policy's.
        max_batch: Requests answered by one call of the policy at most, None for all that waited.
        device: Where the policy ran.
        steering: How candidates were made and chosen; empty where the policy was not steered.
        schedule: Which action of which chunk was executed when.
        latency_ms: Injected from every observation to its plan [ms].
        feasible: File of the states far from which the arm stopped; empty for none.
    """

    execute_steps: int
    num_samples: int
    max_steps: int
    workers: int = 0
    max_batch: int | None = 1
    device: str = "cpu"
    steering: Mapping[str, Any] = field(default_factory=dict[str, Any])
    schedule: str = "receding"
    latency_ms: float = 0.0
    feasible: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Outcome of every seed, and what it was measured with.

    Attributes:
        task: Name of the task.
        checkpoint: Path or name of the policy, as given.
        episodes: In the order of the seeds asked for; at least one.
        duration_s: From the first reset to the last step [s].
        settings: How it was run.
        via: The way between policy and twin.
        command: Command line that gives it again.
        versions: Package to version.
        machine: As `sim.provenance.machine` returns it.
    """

    task: str
    checkpoint: str
    episodes: tuple[EpisodeResult, ...]
    duration_s: float
    settings: Settings
    via: Via = Via.IN_PROCESS
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    machine: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if not self.episodes:
            raise DataError("an evaluation needs at least one episode", where="episodes")
        seeds = [episode.seed for episode in self.episodes]
        if len(set(seeds)) != len(seeds):
            raise DataError("a seed occurs twice", where="episodes")

    @property
    def successes(self) -> int:
        """Number of episodes that reached the goal."""
        return sum(episode.success for episode in self.episodes)

    @property
    def success_rate(self) -> float:
        """Between 0 and 1."""
        return self.successes / len(self.episodes)

    @property
    def ci95(self) -> Interval:
        """Wilson 95 % interval of the success rate."""
        return wilson_interval(self.successes, len(self.episodes))

    @property
    def policy_ms(self) -> dict[str, float | None]:
        """Median and 99th percentile of the policy's calls [ms]; None where none was timed."""
        calls = [ms for episode in self.episodes for ms in episode.policy_ms]
        if not calls:
            return {"p50": None, "p99": None}
        p50, p99 = np.percentile(calls, [50, 99])
        return {"p50": round(float(p50), 3), "p99": round(float(p99), 3)}

    @property
    def jerk(self) -> dict[str, float | None]:
        """Mean over the episodes of the jerk commanded and measured, see `sim.jerk`."""
        return {
            "commanded": _mean(episode.jerk for episode in self.episodes),
            "measured": _mean(episode.measured_jerk for episode in self.episodes),
        }

    @property
    def env_steps_per_s(self) -> float:
        """Environment steps per second of wall time, all workers together, resets included."""
        return sum(episode.steps for episode in self.episodes) / self.duration_s

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict; summaries are stored beside what they summarise."""
        return {
            "task": self.task,
            "checkpoint": self.checkpoint,
            "success_rate": self.success_rate,
            "ci95": list(self.ci95),
            "successes": self.successes,
            "policy_ms": self.policy_ms,
            "jerk": self.jerk,
            "env_steps_per_s": round(self.env_steps_per_s, 3),
            "duration_s": round(self.duration_s, 6),
            "via": self.via.value,
            "settings": self.settings.to_json(),
            "command": self.command,
            "versions": dict(self.versions),
            "machine": dict(self.machine),
            "episodes": [episode.to_json() for episode in self.episodes],
        }

    def save(self, path: Path) -> None:
        """Writes the file whole or not at all."""
        write_json(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            DataError: If the file is missing, damaged, or its rate is not that of its episodes.
        """
        return _parse(read_json(path), cls._from_json, where=path)

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> Self:
        result = cls(
            task=_typed(data["task"], str),
            checkpoint=_typed(data["checkpoint"], str),
            episodes=tuple(EpisodeResult.from_json(episode) for episode in data["episodes"]),
            duration_s=float(data["duration_s"]),
            settings=Settings.from_json(data["settings"]),
            via=Via(data["via"]),
            command=str(data.get("command", "")),
            versions=dict(data.get("versions", {})),
            machine=dict(data.get("machine", {})),
        )
        if abs(float(data["success_rate"]) - result.success_rate) > 1e-9:
            raise DataError(
                "success_rate is not that of the episodes",
                expected=result.success_rate,
                got=data["success_rate"],
            )
        return result


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 3) if known else None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _typed[T](value: object, kind: type[T]) -> T:
    # bool is an int to Python, but a success that is written 1 is not what was saved.
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        raise TypeError(f"expected {kind.__name__}, got {value!r}")
    return value


def _parse[T](data: Any, parse: Callable[[Any], T], *, where: Path) -> T:
    try:
        return parse(data)
    except KeyError as error:
        raise DataError(f"entry {error.args[0]!r} is missing", where=where) from error
    except (TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise DataError("not an evaluation result", where=where, got=error) from error
    except DataError as error:
        raise DataError("damaged", where=where, got=error) from error
