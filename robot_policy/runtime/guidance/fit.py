"""Whether a critic may judge a policy; refused when the pair is built, naming both."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, SpecError
from robot_policy.core.observation import ACTION, STATE, Candidates, Windows
from robot_policy.core.specs import PolicySpec, check_runs_on
from robot_policy.core.transforms import Statistics

_RATIO = 4.0
"""Largest factor between the ranges that the two were trained on."""


class LoadedScorer(Protocol):
    """A scorer that came from a file."""

    @property
    def spec(self) -> PolicySpec:
        """What it needs to see; its horizon is the number of actions that it judges."""
        ...

    @property
    def name(self) -> str:
        """Of the kind of critic."""
        ...

    @property
    def instructions(self) -> Sequence[str]:
        """That it was trained on."""
        ...

    @property
    def variable_length(self) -> bool:
        """Whether it judges fewer actions than its horizon too."""
        ...

    def score(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        """Returns (B, N)."""
        ...


def check_fit(
    critic: LoadedScorer,
    policy: PolicySpec,
    *,
    execute_steps: int,
    instruction: str | None = None,
    critic_name: str = "",
    policy_name: str = "",
) -> None:
    """Checks that a critic can judge what a policy proposes and the agent executes.

    Args:
        critic: Judges.
        policy: Spec of the policy.
        execute_steps: Ta, actions of a chunk that are executed.
        instruction: That will be given; None where it is not known yet.
        critic_name: For the message, its path for example.
        policy_name: Likewise.

    Raises:
        SpecError: If robot, rate, actions or observations are others.
        ConfigError: If it judges another number of actions, looks further back, or was not trained
            on the instruction.
    """
    spec = critic.spec
    where = f"critic {critic_name or critic.name} for policy {policy_name or policy.robot}"
    check_runs_on(spec, policy, where=where)
    for camera, image in spec.cameras.items():
        if image.shape != policy.cameras[camera].shape:
            raise SpecError(
                f"images of camera {camera!r} have another size",
                where=where,
                expected=image.shape,
                got=policy.cameras[camera].shape,
            )
    if spec.history > policy.history:
        raise ConfigError(
            "the critic looks further back than the policy",
            where=where,
            expected=f"a critic with history at most {policy.history}",
            got=spec.history,
        )
    if spec.history > 1 and spec.history_stride != policy.history_stride:
        raise ConfigError(
            "the critic looks back in other steps than the policy",
            where=where,
            expected=f"history_stride {policy.history_stride}",
            got=spec.history_stride,
        )
    fits = (
        execute_steps <= spec.horizon if critic.variable_length else execute_steps == spec.horizon
    )
    if not fits or spec.horizon > policy.horizon:
        raise ConfigError(
            "the critic judges another number of actions than are executed",
            where=where,
            expected=f"{execute_steps} (execute_steps) of a horizon of {policy.horizon}",
            got=f"{spec.horizon}{' or fewer' if critic.variable_length else ''}",
            hint=f"--execute-steps {spec.horizon} executes what it judges; or train a critic with "
            f"--critic.horizon {execute_steps}",
        )
    if instruction is not None and instruction not in critic.instructions:
        raise ConfigError(
            "the critic was not trained on this instruction",
            where=where,
            got=repr(instruction),
            valid=map(repr, critic.instructions),
        )


def check_statistics(critic: Statistics, policy: Statistics, *, where: str) -> None:
    """Refuses a critic whose data have other scales than the policy's: it would judge noise.

    Ranges of every entry are compared, of actions from the least to the largest value, because
    these scale what a critic sees of them, and of states without the outermost hundredths: they
    must overlap, and their widths differ by less than a factor of 4. That is more than two data
    sets of one task differ by, and less than two units or conventions. Privileged state is left
    out: what is dropped may fall anywhere.

    Args:
        critic: Statistics it was trained with.
        policy: Statistics of the policy.
        where: Names both in the error.

    Raises:
        ConfigError: If an entry differs.
    """
    for key, names in ((ACTION, ("min", "max")), (STATE, ("q01", "q99"))):
        # Another library's scaling has other statistics, or none.
        both = [data[key] for data in (critic, policy) if key in data]
        if len(both) == 2 and all(name in data for name in names for data in both):
            _check_ranges(both[0], both[1], names, where=f"{where}, {key}")


def _check_ranges(
    critic: Mapping[str, Any], policy: Mapping[str, Any], names: tuple[str, str], *, where: str
) -> None:
    low, high = (np.asarray(critic[name], dtype=np.float64) for name in names)
    other_low, other_high = (np.asarray(policy[name], dtype=np.float64) for name in names)
    width, other = high - low, other_high - other_low
    # What hardly varies, varies by chance.
    tiny = np.maximum(width, other) < 0.05 * other.max()
    ratio = np.maximum(width, 1e-9) / np.maximum(other, 1e-9)
    apart = (low > other_high) | (other_low > high)
    bad = np.flatnonzero(~tiny & (apart | (ratio > _RATIO) | (ratio < 1 / _RATIO)))
    if len(bad):
        entry = int(bad[0])
        raise ConfigError(
            f"the critic's data have another range of entry {entry}",
            where=where,
            expected=f"about [{other_low[entry]:.3g}, {other_high[entry]:.3g}]",
            got=f"[{low[entry]:.3g}, {high[entry]:.3g}]",
        )
