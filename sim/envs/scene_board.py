"""A calibration board in the twin: on the table, or held by the gripper; of true scale."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.board_pattern import board_texture
from calibration.hand_eye.data import Mounting
from robot_policy.core.errors import SimulationError, UnknownNameError
from robot_policy.core.geometry import matrix_from_rotvec, quat_from_matrix, transform
from sim.rendering import VISUAL_GEOMETRY

type Array = NDArray[np.floating]

_NAME = "calibration_board"
_HAND = "robot0_right_hand"
_MARGIN_SQUARES = 0.5
"""White paper around the pattern."""
_THICKNESS_M = 0.002
_PIXELS = 1600
"""Of the longer side of the texture: a few for every pixel of a picture, more would alias."""
_BLACK, _WHITE = 30.0, 200.0
"""Grey values of ink and paper: lit, they must not be brighter than the brightest pixel."""
_TABLE_M = -0.112
"""Height of the table's top in the robot's base frame [m]."""
_UNDER_HAND_M = 0.58
"""Where the middle of the board lies in front of the base [m]."""
_BEFORE_HAND_M, _BELOW_TIPS_M, _LEANS_BACK_RAD = 0.10, 0.12, 0.5
"""How a board is held: before the hand, its lower edge below the tips of the fingers."""
_GEOM_R_BOARD = np.diag([1.0, -1.0, -1.0])
"""A board is seen from the side that its z axis points away from; a texture from above."""


class Holder(StrEnum):
    """What a board is fixed to.

    TABLE: It lies on the table, for cameras on the gripper.
    GRIPPER: The gripper holds it, for cameras that stand still.
    """

    TABLE = "table"
    GRIPPER = "gripper"

    @classmethod
    def of(cls, name: str, *, where: str) -> "Holder":
        """Returns the holder of that name.

        Raises:
            UnknownNameError: If there is none.
        """
        if name not in list(cls):
            raise UnknownNameError.of("holder of the board", name, cls, where=where)
        return cls(name)

    @classmethod
    def for_mounting(cls, mounting: Mounting) -> "Holder":
        """What holds the board for cameras mounted like that."""
        return cls.TABLE if mounting is Mounting.EYE_IN_HAND else cls.GRIPPER


@dataclass(frozen=True, slots=True)
class SceneBoard:
    """A board in the scene.

    Attributes:
        board: The board.
        holder: What it is fixed to.
        holder_T_board: (4, 4) ``base_T_board`` on the table, ``ee_T_board`` in the gripper [m].
    """

    board: Board
    holder: Holder
    holder_T_board: Array

    @classmethod
    def usual(cls, board: Board, holder: Holder) -> "SceneBoard":
        """Places a board where the twin's cameras see it when an episode begins.

        On the table it lies under the hand. In the gripper it stands a hand's breadth in front of
        the fingers and faces away from the robot.
        """
        width_m, height_m = board.size_m
        if holder is Holder.TABLE:
            # Rows along the base's -x, columns along its -y: upright for who stands at the table.
            R = np.array([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
            middle = np.array([_UNDER_HAND_M, 0.0, _TABLE_M + _THICKNESS_M])
        else:
            # At the start the hand points down, its x axis forward: the board's z is the hand's -x.
            upright = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
            R = matrix_from_rotvec(_LEANS_BACK_RAD * np.array([0.0, 1.0, 0.0])) @ upright
            middle = np.array([_BEFORE_HAND_M, 0.0, _BELOW_TIPS_M - height_m / 2])
        corner = middle - R @ np.array([width_m / 2, height_m / 2, 0.0])
        return cls(board, holder, transform(R, corner))

    def added_to(self, xml: str) -> str:
        """Returns a scene with the board in it, still without its pattern.

        Raises:
            SimulationError: If the scene has no such arm.
        """
        root = ElementTree.fromstring(xml)
        assets, world = root.find("asset"), root.find("worldbody")
        body = world if self.holder is Holder.TABLE else root.find(f".//body[@name='{_HAND}']")
        if assets is None or body is None:
            raise SimulationError("nothing can hold a board", where="scene", expected=_HAND)
        height, width = self._texture().shape
        ElementTree.SubElement(
            assets,
            "texture",
            {
                **{"name": _NAME, "type": "2d", "builtin": "flat", "rgb1": "1 1 1"},
                **{"width": str(width), "height": str(height)},
            },
        )
        ElementTree.SubElement(
            assets,
            "material",
            {
                **{"name": _NAME, "texture": _NAME, "texuniform": "false", "texrepeat": "1 1"},
                **{"specular": "0", "shininess": "0", "reflectance": "0"},
            },
        )
        ElementTree.SubElement(
            body,
            "geom",
            {
                **{"name": _NAME, "type": "box", "material": _NAME, "mass": "0"},
                **{"contype": "0", "conaffinity": "0", "group": str(VISUAL_GEOMETRY)},
                # Anywhere but at the body's own frame, from where MuJoCo would not let it be moved.
                **{"pos": "0.1 0.2 0.3", "quat": "0.5 0.5 0.5 0.5"},
                "size": " ".join(f"{x:.9f}" for x in (*self._half_size, _THICKNESS_M / 2)),
            },
        )
        return ElementTree.tostring(root, encoding="unicode")

    def put_into(self, model: Any, body_T_holder: Array) -> None:
        """Paints the board and puts it in its place.

        Args:
            model: The mujoco.MjModel of a scene that `added_to` made; not yet rendered.
            body_T_holder: (4, 4) of the robot's base in the world, or of the end effector in the
                hand [m].
        """
        texture = model.texture(_NAME).id
        pixels = np.repeat(self._texture()[:, :, None], model.tex_nchannel[texture], axis=2)
        start = int(model.tex_adr[texture])
        model.tex_data[start : start + pixels.size] = pixels.ravel()
        width_m, height_m = self.board.size_m
        # The pattern is on the upper face of the box.
        board_T_geom = transform(
            _GEOM_R_BOARD, np.array([width_m / 2, height_m / 2, _THICKNESS_M / 2])
        )
        body_T_geom = body_T_holder @ self.holder_T_board @ board_T_geom
        geom = model.geom(_NAME).id
        model.geom_pos[geom] = body_T_geom[:3, 3]
        model.geom_quat[geom] = quat_from_matrix(body_T_geom[:3, :3])

    @property
    def on_hand(self) -> bool:
        """Whether it moves with the hand."""
        return self.holder is Holder.GRIPPER

    @property
    def _margin_m(self) -> float:
        return _MARGIN_SQUARES * self.board.square_m

    @property
    def _half_size(self) -> tuple[float, float]:
        width_m, height_m = self.board.size_m
        return width_m / 2 + self._margin_m, height_m / 2 + self._margin_m

    def _texture(self) -> NDArray[np.uint8]:
        per_m = _PIXELS / (2 * max(self._half_size))
        drawn = board_texture(self.board, pixels_per_m=per_m, margin_m=self._margin_m)
        grey = _BLACK + (_WHITE - _BLACK) / 255.0 * drawn
        return np.round(grey).astype(np.uint8)
