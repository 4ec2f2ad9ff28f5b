"""Policies for a worker process, which imports them from here."""

import os
import signal
from dataclasses import replace

import numpy as np

from robot_policy.core.errors import CheckpointError
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators
from robot_policy.core.robot import load_robot
from robot_policy.runtime.planning import Planner

SPEC = replace(load_robot("panda_twin").spec(), history=2, horizon=3)
UNLUCKY = 13.0
DEADLY = 66.0


class RandomPolicy:
    """Draws its chunk; raises or ends its process when the first joint says so."""

    def __init__(self) -> None:
        self.spec = SPEC
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        assert not isinstance(generator, np.random.Generator)
        first = windows.state[0, -1, 0]
        if first == UNLUCKY:
            raise ZeroDivisionError("nothing left")
        if first == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        chunk = generator[0].uniform(-0.01, 0.01, (1, num_samples, 3, 7)).astype(np.float32)
        chunk[..., 0, 6] = self.resets
        return Candidates(chunk)


def load() -> Planner:
    return Planner(RandomPolicy())


def refuse() -> Planner:
    raise CheckpointError("no such checkpoint", where="nowhere")


def crash() -> Planner:
    raise OSError("disk on fire")


def die() -> Planner:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
