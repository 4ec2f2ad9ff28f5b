"""What distinguishes one task from another: scene, instruction, privileged state, time limit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from robot_policy.core.specs import ArraySpec
from sim.envs.rules import Rules

END_EFFECTOR = "ee"

_POSE = ("x", "y", "z", *(f"rot6d_{i}" for i in range(6)))
_POSE_UNITS = ("m", "m", "m", *("1",) * 6)


@dataclass(frozen=True, slots=True)
class Task:
    """A manipulation task in the twin.

    Attributes:
        name: Name in the registry.
        environment: Name of the robosuite environment.
        instruction: What to do, in words; "" where every episode has its own, see
            `rules.Instructs`.
        objects: Names of the objects that `environment_state` reports, and their MuJoCo bodies.
        offsets: Pairs (a, b) of object names or ``"ee"``; the position of b minus that of a is
            reported too, so that no network has to learn to subtract.
        max_steps: Control periods after which an episode is truncated.
        options: Passed on to robosuite.
        rules: Makes the rules of a task that the simulator's reward does not know; None where it
            does.
        scene_module: Module that defines the environment, where robosuite itself has none of that
            name; imported when robosuite is.
    """

    name: str
    environment: str
    instruction: str
    objects: Mapping[str, str]
    offsets: tuple[tuple[str, str], ...]
    max_steps: int
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    rules: Callable[[], Rules] | None = None
    scene_module: str = ""

    @property
    def environment_state_spec(self) -> ArraySpec:
        """Spec of ``observation.environment_state``.

        For every object its position [m] and 6-D rotation in the base frame, then every offset
        [m] in the base frame.
        """
        names = [f"{name}_{entry}" for name in self.objects for entry in _POSE]
        units = [unit for _ in self.objects for unit in _POSE_UNITS]
        for a, b in self.offsets:
            names += [f"{a}_to_{b}_{axis}" for axis in "xyz"]
            units += ["m"] * 3
        return ArraySpec(shape=(len(names),), names=tuple(names), units=tuple(units))
