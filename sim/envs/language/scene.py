"""The table of the language suite in robosuite: two cubes, two cylinders and a tray.

Imported when robosuite is there already; defining the class makes it known by its name.
"""

from typing import Any

import numpy as np
from robosuite.environments.manipulation.manipulation_env import ManipulationEnv
from robosuite.models.arenas import TableArena
from robosuite.models.objects import Bin, BoxObject, CylinderObject
from robosuite.models.tasks import ManipulationTask

from sim.envs.language.objects import CUBES, CYLINDERS, HALF_SIZE_M, TRAY, TRAY_SIZE_M

_TABLE = (0.8, 0.8, 0.05)
_TABLE_OFFSET = np.array((0.0, 0.0, 0.8))
_ABOVE_M = 0.001
_APART_M = 0.12
"""Where the objects stand before the rules of the task place them."""
_SLIPPERY = (0.5, 5e-3, 1e-4)
_TRAY_WALL_M = 0.006


class LanguageTable(ManipulationEnv):
    """Objects of the language suite; its tasks have rules of their own, so it rewards nothing."""

    def __init__(self, **options: Any) -> None:
        self.table_offset = _TABLE_OFFSET
        options.pop("use_object_obs")  # observations are built outside
        super().__init__(**options)

    def reward(self, action: Any = None) -> float:
        """Returns 0."""
        del action
        return 0.0

    def _load_model(self) -> None:
        super()._load_model()
        arm = self.robots[0].robot_model
        arm.set_base_xpos(arm.base_xpos_offset["table"](_TABLE[0]))
        arena = TableArena(
            table_full_size=_TABLE, table_friction=(1.0, 5e-3, 1e-4), table_offset=_TABLE_OFFSET
        )
        arena.set_origin([0, 0, 0])
        half = HALF_SIZE_M
        self._objects = [
            *(BoxObject(name=n, size=[half] * 3, rgba=c, rng=self.rng) for n, c in CUBES.items()),
            *(
                CylinderObject(name=n, size=[half, half], rgba=c, rng=self.rng)
                for n, c in CYLINDERS.items()
            ),
            Bin(
                TRAY,
                bin_size=TRAY_SIZE_M,
                wall_thickness=_TRAY_WALL_M,
                transparent_walls=False,
                friction=_SLIPPERY,
                density=4000.0,
                use_texture=False,
                rgba=(0.85, 0.85, 0.85, 1.0),
            ),
        ]
        self.model = ManipulationTask(
            mujoco_arena=arena, mujoco_robots=[arm], mujoco_objects=self._objects
        )

    def _reset_internal(self) -> None:
        super()._reset_internal()
        for number, item in enumerate(self._objects):
            beside, height = (number - 2) * _APART_M, _ABOVE_M - item.bottom_offset[2]
            place = _TABLE_OFFSET + np.array([0.0, beside, height])
            assert self.sim is not None
            self.sim.data.set_joint_qpos(item.joints[0], np.append(place, [1.0, 0.0, 0.0, 0.0]))

    def _check_success(self) -> bool:
        return False
