"""The simulated arm as a surface, for calibrations that align a depth cloud with it."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from calibration.meshes import Mesh, joined
from robot_policy.core.errors import DataError
from robot_policy.core.geometry import inverse, transform
from sim.envs.robosuite_arm import RobosuiteArm
from sim.rendering import VISUAL_GEOMETRY

_PARTS = ("robot0_", "gripper0_")


class TwinSurface:
    """Links and kinematics of the simulated arm; a `RobotSurface`.

    It computes in a state of its own, so that the twin may be anywhere meanwhile.

    Args:
        arm: Gives the model; may be closed afterwards.
    """

    def __init__(self, arm: RobosuiteArm) -> None:
        self._mujoco: Any = importlib.import_module("mujoco")
        self._model: Any = arm.model
        self._data: Any = self._mujoco.MjData(self._model)
        names = (*arm.robot.joint_names, arm.robot.gripper.joint)
        self._qpos = dict(zip(names, arm.joint_addresses, strict=True))
        # robosuite's second finger is a joint of its own, which mirrors the first.
        self._mirrored = int(self._model.joint("gripper0_right_finger_joint2").qposadr[0])
        self._finger = arm.robot.gripper.joint
        self._base = self._model.body("robot0_base").id
        self._links = self._visible_links()

    def posed(self, joints: Mapping[str, float]) -> Mesh:
        """Returns the surface of the whole arm in its base frame.

        Args:
            joints: Joint name to position, [rad] or [m].

        Raises:
            DataError: If a joint is missing.
        """
        for name, address in self._qpos.items():
            if name not in joints:
                raise DataError(f"joint {name!r} is missing", where="joints", valid=joints)
            self._data.qpos[address] = joints[name]
        self._data.qpos[self._mirrored] = -joints[self._finger]
        self._mujoco.mj_kinematics(self._model, self._data)
        base_T_world = inverse(self._pose_of(self._base))
        return joined(
            [mesh.moved(base_T_world @ self._pose_of(body)) for body, mesh in self._links.items()]
        )

    def _pose_of(self, body: int) -> Any:
        return transform(self._data.xmat[body].reshape(3, 3), self._data.xpos[body])

    def _visible_links(self) -> dict[int, Mesh]:
        self._mujoco.mj_kinematics(self._model, self._data)
        found: dict[int, list[Mesh]] = {}
        for geom in range(self._model.ngeom):
            body = int(self._model.geom_bodyid[geom])
            if not self._model.body(body).name.startswith(_PARTS):
                continue
            if self._model.geom_group[geom] != VISUAL_GEOMETRY:
                continue
            if self._model.geom_type[geom] != self._mujoco.mjtGeom.mjGEOM_MESH:
                continue
            R = self._data.geom_xmat[geom].reshape(3, 3)
            world_T_geom = transform(R, self._data.geom_xpos[geom])
            body_T_geom = inverse(self._pose_of(body)) @ world_T_geom
            found.setdefault(body, []).append(self._mesh(geom).moved(body_T_geom))
        return {body: joined(meshes) for body, meshes in found.items()}

    def _mesh(self, geom: int) -> Mesh:
        model, number = self._model, int(self._model.geom_dataid[geom])
        vertex, vertices = int(model.mesh_vertadr[number]), int(model.mesh_vertnum[number])
        face, faces = int(model.mesh_faceadr[number]), int(model.mesh_facenum[number])
        return Mesh(
            np.array(model.mesh_vert[vertex : vertex + vertices], dtype=np.float64),
            np.array(model.mesh_face[face : face + faces], dtype=np.int64),
        )
