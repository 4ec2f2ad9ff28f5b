"""An arm moved by hand: samples where it rests, and a word on what is missing."""

from pathlib import Path

import numpy as np
import pytest
from guided_motion import BOARD, REST, by_hand, guided_arm
from ideal_arm import LENS

from calibration.hand_eye.data import Mounting
from calibration.samples import load_samples
from robot_policy.capture.automatic import Tally
from robot_policy.capture.folder import CaptureFolder, CaptureSettings
from robot_policy.capture.guided import GuidedCapture, missing_motion
from robot_policy.core.geometry import matrix_from_rotvec, transform


class Session:
    def __init__(self, folder: Path, *, automatic: bool, keys: dict[int, str]) -> None:
        self.arm = guided_arm()
        robot = self.arm.robot
        self.lines: list[str] = []
        self.said: list[str] = []
        settings = CaptureSettings.of(robot, "eye_in_hand", ("wrist",), BOARD)
        self.folder = CaptureFolder(folder, settings)
        self.folder.begin(BOARD, {"wrist": LENS})
        self._keys = keys
        self._capture = GuidedCapture(
            robot,
            self.arm,
            self.folder,
            BOARD,
            Mounting.EYE_IN_HAND,
            cameras=("wrist",),
            automatic=automatic,
            keys=lambda: self._keys.pop(len(self.arm.readings), ""),
            show=self.lines.append,
            say=self.said.append,
        )

    def run(self, wanted: int) -> Tally:
        return self._capture.run(wanted)


def test_it_takes_a_sample_wherever_the_arm_rests(tmp_path: Path) -> None:
    session = Session(tmp_path / "s", automatic=True, keys={})
    tally = session.run(4)
    assert tally.taken == 4
    assert session.arm.actions == []  # a person moves it
    samples = load_samples(tmp_path / "s").samples
    rests = [by_hand(2 * REST * leg + REST // 2) for leg in range(20)]
    for sample in samples:
        joints = np.array(list(sample.joints.values()))
        assert min(np.abs(joints - rest).max() for rest in rests) < 1e-9
    assert any("moving" in line for line in session.lines)
    assert any("turn the gripper" in line for line in session.lines)
    assert any("this pose is known already" in line for line in session.lines)


def test_a_key_takes_a_sample_if_there_is_one_to_take(tmp_path: Path) -> None:
    keys = {25: " ", 50: "\n", 90: " ", 100: "q"}
    session = Session(tmp_path / "s", automatic=False, keys=keys)
    tally = session.run(4)
    assert tally.taken == 2
    assert session.said == [
        *("sample 1: 12 corners", "not taken: the arm is not still"),
        session.said[2],
    ]
    assert session.said[2].startswith("sample 2")
    again = Session(tmp_path / "s", automatic=False, keys={5: "q"})
    assert again.run(4).taken == 2


def test_the_missing_motion_is_named() -> None:
    def poses(axes: list[int]) -> list[np.ndarray]:
        turns = [np.zeros(3)] + [0.5 * sign * np.eye(3)[a] for a in axes for sign in (-1, 1)]
        return [transform(matrix_from_rotvec(t), np.zeros(3)) for t in turns]

    assert "any axis" in missing_motion(Mounting.EYE_IN_HAND, [])
    assert "about x and y of the gripper" in missing_motion(Mounting.EYE_IN_HAND, poses([2]))
    assert "of the base" in missing_motion(Mounting.EYE_TO_HAND, poses([0]))
    assert "turns are enough" in missing_motion(Mounting.EYE_IN_HAND, poses([0, 1, 2]))


@pytest.mark.parametrize("gone", ["no board", "bring the board into the picture"])
def test_a_board_that_is_not_seen_is_said(tmp_path: Path, gone: str) -> None:
    session = Session(tmp_path / "s", automatic=True, keys={20: " ", 21: "q"})
    session.arm.parent_T_board = np.linalg.inv(session.arm.parent_T_board)
    assert session.run(3).taken == 0
    assert gone in session.lines[-1]
    assert session.said == ["not taken: the board is not in sight"]
