"""The tasks of the twin and the scripted experts that solve them."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from robot_policy.core.errors import UnknownNameError
from robot_policy.core.registry import Registry
from robot_policy.core.robot import load_robot
from sim.envs.robosuite_arm import RobosuiteArm
from sim.scripted.expert import Expert
from sim.scripted.sloppy import Sloppy

if TYPE_CHECKING:
    from sim.envs.scene_board import SceneBoard


class VariantRegistry(Registry):
    """Names of which some have variants, ``NAME:KIND+WORDING``, that only who asks for them finds.

    Args:
        kind: As of `Registry`.
        entries: Likewise.
        variants: Name to a function of a variant's full name, as ``"package.module:function"``; ""
            where all variants are the same object.
    """

    def __init__(
        self, kind: str, entries: Mapping[str, str], *, variants: Mapping[str, str]
    ) -> None:
        super().__init__(kind, entries)
        self._makers = Registry("maker of variants", {n: m for n, m in variants.items() if m})
        self._families = frozenset(variants)

    def __getitem__(self, name: str) -> Any:
        """Returns the object of that name or variant.

        Raises:
            UnknownNameError: If there is none.
        """
        family = re.split("[:+]", name)[0]
        if name == family or family not in self._families:
            return super().__getitem__(name)
        return self._makers[family](name) if family in self._makers else super().__getitem__(family)

    def __contains__(self, name: object) -> bool:
        """Whether there is a name or a variant."""
        if super().__contains__(name):
            return True
        if not isinstance(name, str) or re.split("[:+]", name)[0] not in self._families:
            return False
        try:
            self[name]
        except UnknownNameError:
            return False
        return True


TASKS = VariantRegistry(
    "task",
    {
        "lift": "sim.envs.lift:TASK",
        "can": "sim.envs.can:TASK",
        "square": "sim.envs.square:TASK",
        "stack": "sim.envs.stack:TASK",
        "recall": "sim.envs.recall:TASK",
        "recall-count": "sim.envs.recall_count:TASK",
        "language": "sim.envs.language.task:TASK",
    },
    variants={"language": "sim.envs.language.task:variant"},
)

EXPERTS = VariantRegistry(
    "expert",
    {
        "lift": "sim.scripted.lift:LiftExpert",
        "can": "sim.scripted.can:CanExpert",
        "square": "sim.scripted.square:SquareExpert",
        "stack": "sim.scripted.stack:StackExpert",
        "recall": "sim.scripted.recall:RecallExpert",
        "recall-count": "sim.scripted.recall_count:RecallCountExpert",
        "language": "sim.scripted.language:LanguageExpert",
    },
    variants={"language": ""},
)

QUALITIES = ("expert", "sloppy")


def make_environment(
    task: str,
    *,
    cameras: tuple[str, ...] = (),
    robot: str = "panda_twin",
    image_size: tuple[int, int] | None = None,
    shadows: bool = False,
    multisampling: bool = False,
    board: "SceneBoard | None" = None,
    endless: bool = False,
) -> RobosuiteArm:
    """Builds the twin for a task.

    Args:
        task: Name in `TASKS`.
        cameras: Cameras of the robot description whose images observations carry.
        robot: Name or path of a robot description.
        image_size: (height, width) of the images [px]; as the description says if None.
        shadows: Draw shadows and reflections.
        multisampling: Smooth edges in images.
        board: A calibration board in the scene; the task's objects then lie aside.
        endless: A person ends episodes, not the task.

    Raises:
        UnknownNameError: If the task, the robot or a camera is unknown.
        SimulationError: If the simulator is missing, or cameras are asked for and nothing can
            render them.
    """
    return RobosuiteArm(
        TASKS[task],
        load_robot(robot),
        cameras=cameras,
        image_size=image_size,
        shadows=shadows,
        multisampling=multisampling,
        board=board,
        endless=endless,
    )


def make_expert(task: str, *, quality: str = "expert") -> Expert:
    """Builds the scripted expert of a task.

    Args:
        task: Name in `EXPERTS`.
        quality: ``"expert"``, or ``"sloppy"`` for one that misses, drops, wanders and gives up.

    Raises:
        UnknownNameError: If the task or the quality is unknown.
    """
    if quality not in QUALITIES:
        raise UnknownNameError.of("quality", quality, QUALITIES)
    if task not in EXPERTS:
        raise UnknownNameError.of("task", task, TASKS)
    expert: Expert = EXPERTS[task]()
    return Sloppy(expert, TASKS[task]) if quality == "sloppy" else expert
