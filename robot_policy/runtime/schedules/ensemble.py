"""Temporal ensembling, for any policy: the mean of what all recent chunks say about now."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import matrix_from_rotvec, quat_from_matrix, rotvec_from_quat
from robot_policy.core.specs import ActionSpace, PolicySpec
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.schedules.schedule import Actions, Schedule


class Ensemble(Schedule):
    """Plans as often as it can and averages, with weights exp(-m i), i = 0 for the oldest chunk.

    Zhao et al. 2023 (ACT, https://arxiv.org/abs/2304.13705), section IV.B. A chunk that comes
    late has a part in the mean from the action on that is due when it arrives.
    """

    def __init__(self, spec: PolicySpec, config: AgentConfig) -> None:
        self._space = spec.action_space
        self._decay = config.ensemble_decay
        self.reset()

    def reset(self) -> None:
        """Drops all chunks."""
        self._chunks: list[Actions] = []
        """What is left of each, the oldest first."""

    def wants_plan(self, *, delay: int) -> bool:
        """Always."""
        del delay
        return True

    def put(self, chunk: Actions, *, executed: Actions) -> None:
        """Adds what is left of `chunk`."""
        if len(executed) < len(chunk):
            self._chunks.append(chunk[len(executed) :])

    def take(self) -> Actions | None:
        """Returns the mean of what the chunks say about now."""
        if not self._chunks:
            return None
        action = self._said(0)
        self._chunks = [chunk[1:] for chunk in self._chunks if len(chunk) > 1]
        return action

    def upcoming(self) -> Actions:
        """Returns the means of what the chunks say about later, as long as one says anything."""
        steps = max((len(chunk) for chunk in self._chunks), default=0)
        return np.array([self._said(step) for step in range(steps)], np.float32)

    def _said(self, step: int) -> Actions:
        said = np.stack([chunk[step] for chunk in self._chunks if len(chunk) > step])
        weights = np.exp(-self._decay * np.arange(len(said)))
        return mean_action(said, weights / weights.sum(), space=self._space)


def mean_action(
    actions: Actions, weights: NDArray[np.float64], *, space: ActionSpace
) -> NDArray[np.float32]:
    """Weighted mean of (K, A) actions; weights (K,) sum to 1.

    Orientations are averaged as rotations (Markley et al. 2007, "Averaging quaternions"), because
    rotation vectors jump at half a turn. Those of one control period are far from that.
    """
    mean = weights @ actions.astype(np.float64)
    if space == ActionSpace.EE_POSE:
        quats = quat_from_matrix(matrix_from_rotvec(actions[:, 3:6]))
        # The largest eigenvector does not care for the sign, in which q and -q differ.
        moments = np.einsum("k,ki,kj->ij", weights, quats, quats)
        mean[3:6] = rotvec_from_quat(np.linalg.eigh(moments).eigenvectors[:, -1])
    return mean.astype(np.float32)
