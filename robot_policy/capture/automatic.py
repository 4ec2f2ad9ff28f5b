"""A capture that moves the arm by itself."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.hand_eye.diversity import MINIMUM_POSES, diversity
from robot_policy.capture.approach import Approach
from robot_policy.capture.arm import CaptureArm, Picture, Reading
from robot_policy.capture.folder import CaptureFolder
from robot_policy.capture.plan import Planner, apart, exploring, nearest_first
from robot_policy.capture.reach import Reach, Target
from robot_policy.capture.sighting import ENOUGH_FOR_A_GUESS, Guess, Sighting, Viewer
from robot_policy.capture.stillness import Stillness
from robot_policy.core.errors import ConfigError, DataError, RobotPolicyError, SafetyError
from robot_policy.core.robot import RobotDescription

type Array = NDArray[np.floating]

_GUARD, _WORSE = 0.4, 0.1
"""Part of the planned distance from the limits at which a motion is given up; and, where it set out
nearer than that, how much nearer it may come."""
_SETTLE_S = 4.0
_TRIES_PER_SAMPLE = 3
_SAME_RAD = 0.05
"""Poses that near to each other count as the same; see `apart`."""
_HARDLY = 0.7
"""Part of the way that is left where an arm has hardly followed."""
_STOPS = 3
_GUESS_AGAIN = 4
"""Samples after which camera and board are located anew."""


@dataclass(slots=True)
class Tally:
    """What a capture did.

    Attributes:
        taken: Samples in the folder.
        new: Of which this capture took.
        unseen: Poses at which the board was not found.
        given_up: Motions that came too near to a limit.
        unsettled: Poses at which the arm did not come to rest.
        steps: Control periods.
        restricted: Actions that the limits changed.
        joint_margin_rad: Least distance of a joint from its limit [rad].
        workspace_margin_m: Least distance from the border of the workspace [m].
        outside: Readings beyond a limit.
        weakest_turn_deg: See `calibration.hand_eye.diversity.Diversity`; 0 where there are too few.
        diversity: Its score, 0 to 1.
    """

    taken: int = 0
    new: int = 0
    unseen: int = 0
    given_up: int = 0
    unsettled: int = 0
    steps: int = 0
    restricted: int = 0
    joint_margin_rad: float = np.inf
    workspace_margin_m: float = np.inf
    outside: int = 0
    weakest_turn_deg: float = 0.0
    diversity: float = 0.0


class AutomaticCapture:
    """Moves the arm from pose to pose, waits until it is still, and takes a sample.

    Before it is known where camera and board are, the gripper is turned a little about several
    axes. What is seen then tells it well enough to look at the board from all sides. The arm
    begins with the board in sight; it ends where it began, at rest.

    Args:
        robot: The arm, with kinematics.
        arm: To command it.
        folder: Takes the samples.
        viewer: The first camera; poses are chosen so that it sees the board.
        cameras: All cameras, by their names in the description; the first is the viewer's.
        approach: Goes there.
        rng: Draws candidates.
        say: Told what is going on, a line at a time.
    """

    def __init__(
        self,
        robot: RobotDescription,
        arm: CaptureArm,
        folder: CaptureFolder,
        viewer: Viewer,
        *,
        cameras: tuple[str, ...],
        approach: Approach,
        rng: np.random.Generator,
        say: Callable[[str], None],
    ) -> None:
        self._robot = robot
        self._arm = arm
        self._folder = folder
        self._viewer = viewer
        self._cameras = cameras
        self._approach = approach
        self._rng = rng
        self._say = say
        self._reach = Reach(robot)
        self._still = Stillness()
        self._sightings: list[Sighting] = []
        self._stops = 0
        self._stuck = 0
        self.tally = Tally()

    def run(self, wanted: int) -> Tally:
        """Captures until the folder holds `wanted` samples.

        Raises:
            ConfigError: If the arm begins outside of its limits.
            DataError: If the board is not in sight, or nowhere else either.
            SafetyError: If the limits keep stopping the arm.
        """
        taken = self._folder.taken
        self.tally.taken = len(taken.samples)
        self._sightings = self._viewer.sightings(taken, self._folder.key(self._cameras[0]))
        self._reading = self._step(None)
        self._check_start()
        self._home = Target(self._reading.joints, self._reading.base_T_ee)
        try:
            if self.tally.taken < wanted:
                self._look_here()
                self._explore(wanted)
                self._look_around(wanted)
            if self._viewer.known is not None and self.tally.taken < min(wanted, MINIMUM_POSES):
                self._look_for_camera(wanted)
            self._go_home()
        except BaseException:  # Ctrl-C too
            with suppress(RobotPolicyError):  # what went wrong first is what is to be said
                self.hold()
            raise
        self.hold()
        if self.tally.taken < wanted:
            self._say(f"{wanted - self.tally.taken} poses less than wanted: no others were found")
        self._judge()
        return self.tally

    def hold(self) -> None:
        """Keeps the arm where it is."""
        self._reading = self._step(self._approach.hold(self._reading))

    def _check_start(self) -> None:
        joint_rad, place_m = self._reach.margins(self._reading)
        if joint_rad < 0.0 or place_m < 0.0:
            raise ConfigError(
                "the arm is outside of its limits",
                where=f"robot {self._robot.name}",
                expected="joints within their ranges, and the end effector in the workspace",
                got=f"{np.rad2deg(joint_rad):.1f} degrees and {1000 * place_m:.0f} mm to spare",
                hint="move it inside by hand",
            )

    def _look_for_camera(self, wanted: int) -> None:
        """Begins anew without the calibration, which led nowhere."""
        self._say("the camera is not where its calibration says: looking for it")
        self._viewer = replace(self._viewer, known=None)
        self._go_home()
        self._explore(wanted)
        self._look_around(wanted)

    def _look_here(self) -> None:
        """Takes the sample where the arm stands, which shows that it sees the board at all."""
        here = self._reading.base_T_ee
        if any(apart(here, sighting.base_T_gripper) < _SAME_RAD for sighting in self._sightings):
            return  # gone on with where the capture before began
        if self._take() or self._sightings:
            return
        raise DataError(
            "the board is not in sight",
            where=f"camera {self._cameras[0]}",
            hint="move the arm so that the board is in the middle of the picture; is it the board "
            "that --board names, and lit?",
        )

    def _explore(self, wanted: int) -> None:
        """Turns the gripper a little until it can be told where camera and board are."""
        if self._viewer.known is not None:
            return
        for pose in exploring(self._reading.base_T_ee):
            if len(self._sightings) >= ENOUGH_FOR_A_GUESS or self.tally.taken >= wanted:
                return
            for target in self._reach.targets(pose[None], self._reading.joints):
                if self._reach.free_way(self._reading, target):
                    self._visit(target)
        if len(self._sightings) < ENOUGH_FOR_A_GUESS:
            raise DataError(
                "the board goes out of sight when the gripper turns a little",
                where=f"camera {self._cameras[0]}",
                expected=f"to see it in {ENOUGH_FOR_A_GUESS} of 9 poses around the first",
                got=len(self._sightings),
                hint="begin with the board in the middle of the picture, a little further away, "
                "and the joints away from their limits",
            )

    def _look_around(self, wanted: int) -> None:
        tries = _TRIES_PER_SAMPLE * (wanted - self.tally.taken)
        targets: list[Target] = []
        guessed_at = -1
        while self.tally.taken < wanted and tries > 0:
            tries -= 1
            if not targets or self.tally.taken - guessed_at >= _GUESS_AGAIN:
                guess = self._locate()
                guessed_at = self.tally.taken
                targets = self._plan(guess, wanted - self.tally.taken)
            if not targets:
                break
            target = self._next(targets)
            if target is None:
                targets = []
                continue
            targets.remove(target)
            self._visit(target)

    def _locate(self) -> Guess:
        guess = self._viewer.guess(self._sightings, self._rng)
        if guess is None:
            raise DataError(
                "what was seen does not tell where camera and board are",
                where=f"camera {self._cameras[0]}",
                got=f"the board in {len(self._sightings)} pictures",
                hint="another mounting, or intrinsics of another camera?",
            )
        self._reach = Reach(self._robot, self._viewer.carried(guess))
        return guess

    def _plan(self, guess: Guess, count: int) -> list[Target]:
        planner = Planner(self._reach, self._viewer)
        poses = [sighting.base_T_gripper for sighting in self._sightings]
        # From the first joints rather than the last ones, which may have wandered.
        targets = planner.targets(guess, poses, self._home.joints, count, self._rng)
        if not targets and len(poses) < MINIMUM_POSES and self._viewer.known is None:
            raise DataError(
                "the arm reaches no other pose from which the board is in sight",
                where=f"robot {self._robot.name}",
                hint="place the board nearer to the middle of the workspace, or widen that",
            )
        return targets

    def _next(self, targets: list[Target]) -> Target | None:
        """The nearest target with a free way, if need be after going back to the beginning."""
        for _ in range(2):
            for target in nearest_first(targets, self._reading.base_T_ee):
                if self._reach.free_way(self._reading, target):
                    return target
            if not self._go_home():
                return None
        return None

    def _visit(self, target: Target) -> None:
        if self._go(target) and not self._take():
            self.tally.unseen += 1

    def _go_home(self) -> bool:
        """Goes back to where the arm began; False if the way there is not free."""
        free = self._reach.free_way(self._reading, self._home)
        return free and self._go(self._home)

    def _go(self, target: Target) -> bool:
        """Moves there; False if the limits stopped it, or it came near to one and went back."""
        begun = Target(self._reading.joints, self._reading.base_T_ee)
        before = apart(begun.base_T_ee, target.base_T_ee)
        least = min(_GUARD, self._reach.spared(self._reading) - _WORSE)
        if self._follow(target, least):
            left = apart(self._reading.base_T_ee, target.base_T_ee)
            self._check_it_follows(left > _HARDLY * before and before > _SAME_RAD)
            return True
        self.tally.given_up += 1
        # Where it set out it was further away; on the spot, a joint to spare might wander on.
        self._follow(begun, -np.inf)
        return False

    def _check_it_follows(self, stuck: bool) -> None:
        self._stuck = self._stuck + 1 if stuck else 0
        if self._stuck >= _STOPS:
            raise SafetyError(
                "the arm does not follow its commands",
                where=f"robot {self._robot.name}",
                hint=f"does its controller run, and listen on {self._robot.command.topic}?",
            )

    def _follow(self, target: Target, least: float) -> bool:
        """Moves there until less than `least` of the planned distance from the limits is left."""
        self._still.reset()
        self._approach.begin(self._reading, target)
        while not self._approach.arrived(self._reading):
            decision = self._approach.next(self._reading)
            self._reading = self._step(decision.action)
            if decision.stop:
                self._stopped(decision.reasons)
                return False
            if self._reach.spared(self._reading) < least:
                return False
        return True

    def _stopped(self, reasons: tuple[str, ...]) -> None:
        self._stops += 1
        self._say(f"stopped by the limits: {', '.join(reasons)}")
        if self._stops >= _STOPS:
            raise SafetyError(
                "the limits have stopped the arm again and again",
                where=f"robot {self._robot.name}",
                got=", ".join(reasons),
            )

    def _settle(self) -> bool:
        """Waits until the arm is still; False if it does not come to rest."""
        deadline_ns = self._reading.stamp_ns + round(_SETTLE_S * 1e9)
        steps = 0
        least = round(_SETTLE_S * self._robot.rate_hz)
        while steps < least or self._reading.stamp_ns < deadline_ns:
            reading = self._reading
            if self._still.put(reading.stamp_ns, reading.joints, reading.velocities):
                return True
            self._reading = self._step(self._approach.rest(reading).action)
            steps += 1
        return False

    def _take(self) -> bool:
        """Takes a sample where the arm comes to rest; False if there is nothing to take."""
        if not self._settle():
            return self._no_rest()
        before = self._reading
        pictures = self._pictures()
        self._reading = self._step(self._approach.rest(before).action)
        if not self._still.put(
            self._reading.stamp_ns, self._reading.joints, self._reading.velocities
        ):
            return self._no_rest()
        sighting = self._viewer.sight(before.base_T_ee, pictures[self._cameras[0]].pixels)
        if sighting is None:
            return False
        self._folder.take(self._robot, before, pictures)
        self._sightings.append(sighting)
        self.tally.taken += 1
        self.tally.new += 1
        seen = len(sighting.board_pose.residuals_px)
        self._say(f"sample {self.tally.taken}: {seen} corners")
        return True

    def _no_rest(self) -> bool:
        self.tally.unsettled += 1
        self._say("the arm does not come to rest here; gone on without a sample")
        return True

    def _pictures(self) -> Mapping[str, Picture]:
        since_ns = self._reading.stamp_ns
        return {c: self._arm.picture(c, not_before_ns=since_ns) for c in self._cameras}

    def _step(self, action: NDArray[np.float32] | None) -> Reading:
        reading = self._arm.step(action)
        tally = self.tally
        joint_rad, place_m = self._reach.margins(reading)
        tally.joint_margin_rad = min(tally.joint_margin_rad, joint_rad)
        tally.workspace_margin_m = min(tally.workspace_margin_m, place_m)
        tally.outside += joint_rad < 0.0 or place_m < 0.0
        tally.steps += action is not None
        tally.restricted = self._approach.restricted
        return reading

    def _judge(self) -> None:
        poses = [s.base_T_gripper for s in self._sightings]
        if len(poses) >= MINIMUM_POSES:
            spread = diversity(self._viewer.mounting, np.array(poses))
            self.tally.weakest_turn_deg = spread.weakest_turn_deg
            self.tally.diversity = spread.score
