"""A capture with an arm that a person moves: says what is seen, and what is missing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.detection import Detection, detect, to_gray
from calibration.hand_eye.data import Mounting
from calibration.hand_eye.diversity import MINIMUM_POSES, across, diversity
from robot_policy.capture.arm import CaptureArm, Picture, Reading
from robot_policy.capture.automatic import Tally
from robot_policy.capture.folder import CaptureFolder
from robot_policy.capture.plan import apart
from robot_policy.capture.stillness import Stillness
from robot_policy.core.robot import RobotDescription

type Array = NDArray[np.floating]

_NEW_RAD = 0.15
"""How far a pose must be from all others to be taken by itself."""
_STILL_S = 0.7
"""A hand that guides an arm pauses shortly in the midst of a motion, too."""
_LOOK_EVERY_S = 0.25
_GOOD_TURN_DEG = 20.0
TAKE, END = " ", "q"


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What is known now: the arm, whether it is still, pictures, corners."""

    reading: Reading
    still: bool
    pictures: Mapping[str, Picture]
    seen: Detection | None


class GuidedCapture:
    """Watches while a person moves the arm, and takes samples where it rests.

    Args:
        robot: The arm.
        arm: To read it; nothing is commanded.
        folder: Takes the samples.
        board: That is looked for.
        mounting: Where the cameras are.
        cameras: By their names in the description; the first must see the board.
        automatic: Take a sample wherever the arm is still and has not been; else only at a key.
        keys: Returns the keys that were pressed since it was last called.
        show: Told how things stand, several times a second.
        say: Told what happened.
    """

    def __init__(
        self,
        robot: RobotDescription,
        arm: CaptureArm,
        folder: CaptureFolder,
        board: Board,
        mounting: Mounting,
        *,
        cameras: tuple[str, ...],
        automatic: bool,
        keys: Callable[[], str],
        show: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        self._robot = robot
        self._arm = arm
        self._folder = folder
        self._board = board
        self._mounting = mounting
        self._cameras = cameras
        self._automatic = automatic
        self._keys = keys
        self._show = show
        self._say = say
        self._still = Stillness(window_s=_STILL_S)
        self._poses = [
            s.base_T_gripper for s in folder.taken.samples if s.base_T_gripper is not None
        ]
        self.tally = Tally(taken=len(folder.taken.samples))

    def run(self, wanted: int) -> Tally:
        """Watches until the folder holds `wanted` samples, or a person ends it with ``q``."""
        looked_ns = None
        while self.tally.taken < wanted:
            reading = self._arm.step(None)
            still = self._still.put(reading.stamp_ns, reading.joints, reading.velocities)
            keys = self._keys()
            if END in keys:
                break
            asked = bool(keys)
            due = looked_ns is None or reading.stamp_ns - looked_ns >= _LOOK_EVERY_S * 1e9
            if not (due or asked):
                continue
            looked_ns = reading.stamp_ns
            look = self._look(reading, still)
            if asked:
                self._take_if_possible(look)
            elif self._automatic and self._worth_it(look):
                self._take(look)
            self._show(self._line(look, wanted))
        if len(self._poses) >= MINIMUM_POSES:
            spread = diversity(self._mounting, np.array(self._poses))
            self.tally.weakest_turn_deg = spread.weakest_turn_deg
            self.tally.diversity = spread.score
        return self.tally

    def _look(self, reading: Reading, still: bool) -> _Look:
        # While it moves, the last picture will do: nothing is made of it.
        since_ns = reading.stamp_ns if still else 0
        pictures = {c: self._arm.picture(c, not_before_ns=since_ns) for c in self._cameras}
        seen = detect(self._board, to_gray(pictures[self._cameras[0]].pixels))
        return _Look(reading, still, pictures, seen)

    def _worth_it(self, look: _Look) -> bool:
        pose = look.reading.base_T_ee
        new = all(apart(pose, before) >= _NEW_RAD for before in self._poses)
        return look.still and look.seen is not None and new

    def _take_if_possible(self, look: _Look) -> None:
        if look.seen is None:
            self._say("not taken: the board is not in sight")
        elif not look.still:
            self._say("not taken: the arm is not still")
        else:
            self._take(look)

    def _take(self, look: _Look) -> None:
        self._folder.take(self._robot, look.reading, look.pictures)
        self._poses.append(look.reading.base_T_ee)
        self.tally.taken += 1
        self.tally.new += 1
        corners = 0 if look.seen is None else len(look.seen.ids)
        self._say(f"sample {self.tally.taken}: {corners} corners")

    def _line(self, look: _Look, wanted: int) -> str:
        seen = "no board" if look.seen is None else f"{len(look.seen.ids)} corners"
        still = "still" if look.still else "moving"
        return f"{self.tally.taken}/{wanted}  {seen}  {still}  {self._missing(look)}"

    def _missing(self, look: _Look) -> str:
        if look.seen is None:
            return "bring the board into the picture"
        missing = missing_motion(self._mounting, self._poses)
        if look.still and not self._worth_it(look):
            return f"this pose is known already: {missing}"
        return missing


def missing_motion(mounting: Mounting, poses: list[Array]) -> str:
    """Says which motion would teach a calibration most.

    Args:
        mounting: Where the camera is.
        poses: base_T_gripper (4, 4) of the samples so far.
    """
    if len(poses) < 2:
        return "turn the gripper by 20 to 40 degrees, about any axis"
    spread = diversity(mounting, np.array(poses))
    if spread.weakest_turn_deg < _GOOD_TURN_DEG:
        return (
            f"turn about {across(spread.axis)} of the {spread.frame}, so far typically "
            f"{spread.weakest_turn_deg:.0f} degrees"
        )
    return "turns are enough; other places, nearer and further, with the board in the corners"
