"""`robot-policy calibrate capture`: samples for calibrations, taken by the arm itself."""

import dataclasses
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tyro.conf import FlagCreatePairsOff

from calibration.board import Board
from calibration.hand_eye.data import Mounting
from calibration.lens import Lens
from robot_policy.capture.approach import Approach
from robot_policy.capture.arm import CaptureArm
from robot_policy.capture.automatic import AutomaticCapture, Tally
from robot_policy.capture.folder import CaptureFolder, CaptureSettings
from robot_policy.capture.sighting import Viewer
from robot_policy.cli.calibration_inputs import read_lens
from robot_policy.cli.capture_arms import (
    ArmChoice,
    choose_cameras,
    choose_via,
    opened,
    silence,
)
from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.files import write_json
from robot_policy.core.robot import load_robot

_SLOWEST = 0.05


@dataclass(frozen=True)
class CaptureConfig:
    """Take samples for calibrations: move the arm so that a camera sees a board from all sides.

    The arm begins with the board in sight. It moves within its safety limits, waits until it is
    still, and records images and joints. Stopped, it holds the arm; run again, it goes on.
    """

    output: Path
    """Folder for the samples; one of the same capture is gone on with."""
    board: Path
    """Board, as `calibrate board` wrote it (YAML)."""
    mounting: str
    """eye_in_hand: the camera is on the gripper and the board stands still; eye_to_hand: the camera
    stands still and the gripper holds the board."""
    robot: str = "panda_twin_joint"
    """Robot description, name or YAML file."""
    cameras: tuple[str, ...] = ()
    """Cameras of the description; the first must see the board."""
    poses: int = 20
    """Samples that the folder is to hold."""
    via: str = ""
    """twin: simulated in this process; nodes: by the twin's ROS 2 node, which is started; ros: an
    arm's topics. By default twin for a simulated robot, else ros."""
    guided: FlagCreatePairsOff[bool] = False
    """A person moves the arm: say what is seen and which motion is missing, and take a sample where
    the arm rests."""
    on_key: FlagCreatePairsOff[bool] = False
    """With --guided: take samples at a key (space or enter; q ends) and not by itself."""
    from_bag: Path | None = None
    """Take the samples from a recording (rosbag2, MCAP) in which the arm paused at every pose."""
    intrinsics: Path | None = None
    """Result of `calibrate intrinsics`, or ROS's camera info, of the first camera; by default what
    its topic says."""
    speed: float = 0.5
    """Part of the fastest motion that a capture makes, up to 1."""
    gripper: float | None = None
    """What the gripper is commanded, 0 open to 1 closed, where that goes with the arm's commands;
    by default closed if it holds something, else open."""
    image_size: tuple[int, int] = (480, 640)
    """Height and width of pictures in the twin [px]."""
    seed: int = 0
    """Of the poses, and of the twin's start."""
    domain: int | None = None
    """ROS domain; with --via nodes by default one drawn at random, which nobody else shares."""
    verbose: FlagCreatePairsOff[bool] = False
    """Show what the twin's node logs."""
    json: Path | None = None
    """Also write what was done to this file."""


def run(config: CaptureConfig) -> int:
    """Captures; returns 1 if a node died or fell silent."""
    choice, folder = _check(config)
    start_s = time.perf_counter()
    try:
        tally = _capture(config, choice, folder)
    except silence(choice.via) as error:
        print(f"robot-policy: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say(f"{len(folder.taken.samples)} samples are in {config.output}; run it again to go on")
        raise
    _report(config, tally, seconds=time.perf_counter() - start_s)
    return 0


def take(
    choice: ArmChoice,
    arm: CaptureArm,
    folder: CaptureFolder,
    *,
    lens: Lens | None,
    known: np.ndarray | None = None,
    poses: int,
    speed: float,
    gripper: float | None,
) -> Tally:
    """Lets an arm take samples by itself.

    Args:
        choice: The arm.
        arm: To command it.
        folder: Takes the samples.
        lens: Of the first camera; None takes what the camera itself says.
        known: Where that camera is (4, 4), if a calibration tells; None finds out.
        poses: Samples that the folder is to hold.
        speed: See `Approach`.
        gripper: What it is commanded; None as it is.

    Raises:
        RobotPolicyError: See `AutomaticCapture.run`; or if no intrinsics are known.
    """
    reading = arm.step(None)  # first of all, because a node that starts takes its time
    lenses = {camera: arm.lens(camera) for camera in choice.cameras}
    first = choice.cameras[0]
    lens = lens or lenses[first]
    if lens is None:
        raise ConfigError(
            "the camera's info does not say what its lens does",
            where=f"camera {first}",
            expected="--intrinsics FILE",
            hint="--guided needs none: take pictures for `calibrate intrinsics` first",
        )
    folder.begin(choice.board, lenses | {first: lens})
    if gripper is None:
        fraction = choice.robot.gripper.fraction_from_position(reading.gripper)
        gripper = 1.0 if fraction > 0.1 else 0.0  # what holds something must go on pressing
    capture = AutomaticCapture(
        choice.robot,
        arm,
        folder,
        Viewer(choice.mounting, choice.board, lens, known),
        cameras=choice.cameras,
        approach=Approach(choice.robot, speed=speed, gripper=gripper),
        rng=np.random.default_rng([choice.seed, len(folder.taken.samples)]),
        say=_say,
    )
    return capture.run(poses)


def _check(config: CaptureConfig) -> tuple[ArmChoice, CaptureFolder]:
    """Refuses what no arm needs to be reached for."""
    if config.mounting not in list(Mounting):
        raise UnknownNameError.of("mounting", config.mounting, list(Mounting), where="--mounting")
    if config.guided and config.from_bag is not None:
        raise ConfigError("give one of both", where="--guided, --from-bag")
    if config.on_key and not config.guided:
        raise ConfigError("belongs to --guided", where="--on-key")
    if config.poses < 1:
        raise ConfigError("too small", where="--poses", expected=">= 1", got=config.poses)
    check_motion(config.speed, config.gripper)
    if min(config.image_size) < 1:
        raise ConfigError("an image needs pixels", where="--image-size", got=config.image_size)
    board = Board.load(config.board)
    mounting, robot = Mounting(config.mounting), load_robot(config.robot)
    via = choose_via(robot, config.via)
    if config.guided and via.value == "twin":
        raise ConfigError(
            "nobody can move the simulated arm by hand", where="--guided", expected="--via ros"
        )
    choice = ArmChoice(
        robot=robot,
        name=config.robot,
        via=via,
        cameras=choose_cameras(robot, config.cameras, mounting),
        board=board,
        board_file=config.board,
        mounting=mounting,
        image_size=config.image_size,
        seed=config.seed,
        domain=config.domain,
        verbose=config.verbose,
    )
    settings = CaptureSettings.of(robot, mounting.value, choice.cameras, board)
    return choice, CaptureFolder(config.output, settings)


def check_motion(speed: float, gripper: float | None) -> None:
    """Refuses a speed or a gripper command that is out of range.

    Raises:
        ConfigError: Says which.
    """
    if not _SLOWEST <= speed <= 1.0:
        raise ConfigError("out of range", where="--speed", expected=f"{_SLOWEST} .. 1", got=speed)
    if gripper is not None and not 0.0 <= gripper <= 1.0:
        raise ConfigError("out of range", where="--gripper", expected="0 .. 1", got=gripper)


def _capture(config: CaptureConfig, choice: ArmChoice, folder: CaptureFolder) -> Tally:
    lens = None if config.intrinsics is None else read_lens(config.intrinsics)[0]
    if config.from_bag is not None:
        return _from_bag(config, choice, folder, lens)
    with opened(choice) as arm:
        if config.guided:
            return _guided(config, choice, arm, folder, lens)
        return take(
            choice,
            arm,
            folder,
            lens=lens,
            poses=config.poses,
            speed=config.speed,
            gripper=config.gripper,
        )


def _from_bag(
    config: CaptureConfig, choice: ArmChoice, folder: CaptureFolder, lens: Lens | None
) -> Tally:
    from robot_policy.capture.bag_samples import capture_from_bag
    from robot_policy.data.rosbag.bag import Bag

    assert config.from_bag is not None
    bag = Bag(config.from_bag)
    folder.begin(choice.board, {choice.cameras[0]: lens})
    return capture_from_bag(
        bag, choice.robot, folder, choice.board, cameras=choice.cameras, say=_say
    )


def _guided(
    config: CaptureConfig,
    choice: ArmChoice,
    arm: CaptureArm,
    folder: CaptureFolder,
    lens: Lens | None,
) -> Tally:
    from robot_policy.capture.guided import GuidedCapture
    from robot_policy.cli.keyboard import pressed_keys, status_line

    arm.step(None)  # first of all, because it is waited for longest
    folder.begin(choice.board, {c: arm.lens(c) for c in choice.cameras} | _given(choice, lens))
    with pressed_keys() as keys, status_line() as show:
        capture = GuidedCapture(
            choice.robot,
            arm,
            folder,
            choice.board,
            choice.mounting,
            cameras=choice.cameras,
            automatic=not config.on_key,
            keys=keys,
            show=show,
            say=_say,
        )
        return capture.run(config.poses)


def _given(choice: ArmChoice, lens: Lens | None) -> dict[str, Lens]:
    return {} if lens is None else {choice.cameras[0]: lens}


def _report(config: CaptureConfig, tally: Tally, *, seconds: float) -> None:
    finite = {
        name: (None if isinstance(value, float) and not np.isfinite(value) else value)
        for name, value in asdict(tally).items()
    }
    if config.json is not None:
        shown = {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}
        write_json(config.json, {**finite, "seconds": round(seconds, 2), "settings": shown})
    print(f"{config.output}: {tally.taken} samples, {tally.new} of them new, in {seconds:.0f} s")
    if tally.steps:
        print(
            f"  nearest to a limit: {np.rad2deg(tally.joint_margin_rad):.1f} degrees of a joint, "
            f"{1000 * tally.workspace_margin_m:.0f} mm of the workspace; beyond one: "
            f"{tally.outside} of {tally.steps} readings"
        )
    if tally.weakest_turn_deg:
        print(
            f"  turns: {tally.weakest_turn_deg:.0f} degrees about the weakest axis, "
            f"diversity {tally.diversity:.2f} of 1"
        )
    if tally.unseen or tally.unsettled or tally.given_up:
        print(
            f"  without a sample: {tally.unseen} poses where the board was not seen, "
            f"{tally.unsettled} where the arm did not come to rest, {tally.given_up} motions given "
            "up near a limit"
        )


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
