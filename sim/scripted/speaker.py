"""A scripted speaker: says what the expert would do, one sentence at a time."""

import numpy as np

from robot_policy.core.observation import Observation
from robot_policy.policies.primitives import PrimitiveSet
from sim.scripted.expert import Expert

_PER_COMMAND = 1.0 / 1.6
"""Way that is left, per displacement that an expert commands (`sim.scripted.motion`)."""
_WAIT = "wait"


class ScriptedSpeaker:
    """Turns the expert's next command into a sentence of primitives.

    Args:
        expert: Of the task.
        primitives: Of the robot.
        rng: Chooses among the ways to say a primitive.
    """

    def __init__(self, expert: Expert, primitives: PrimitiveSet, rng: np.random.Generator) -> None:
        self._expert = expert
        self._primitives = primitives
        self._rng = rng

    def sentence(self, observation: Observation, *, closed: bool) -> str:
        """Returns what to say.

        Args:
            observation: With privileged state.
            closed: State of the gripper that was asked for last.
        """
        action = self._expert.act(observation)
        if (action[-1] > 0.5) != closed:
            return self._said("close" if action[-1] > 0.5 else "open")
        motion = _PER_COMMAND * np.asarray(action[:-1], np.float64)
        move = self._primitives.compose(motion, closed=closed)
        said = " and ".join(p.sentences[0] for p in move.primitives)
        return said or _WAIT

    def _said(self, name: str) -> str:
        sentences = self._primitives.named(name).sentences
        return sentences[int(self._rng.integers(len(sentences)))]
