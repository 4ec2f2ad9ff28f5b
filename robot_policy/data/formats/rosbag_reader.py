"""Reads bags that a robot recorded: observations as-of, and the commands that followed them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.command_values import action_from_values
from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.robot import load_robot
from robot_policy.data.formats.rosbag_commands import Commands
from robot_policy.data.formats.rosbag_description import describe, find_topics
from robot_policy.data.formats.rosbag_episodes import (
    Span,
    by_gaps,
    by_topic,
    find_topic,
    require_topic,
    unused,
)
from robot_policy.data.formats.rosbag_images import MessageFrames
from robot_policy.data.formats.rosbag_layout import notes_of
from robot_policy.data.formats.rosbag_resampling import (
    MISSING,
    as_of,
    due,
    grippers,
    missed_steps,
    motions,
    nearest,
)
from robot_policy.data.formats.rosbag_streams import (
    Stream,
    Streams,
    decode_pose,
    decode_positions,
    read_streams,
)
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.recording import STAMP, Recording
from robot_policy.data.rosbag.bag import Bag
from robot_policy.data.rosbag.mcap_file import RawMessage
from robot_policy.data.statistics import FeatureStatistics

_LATENCY_NS = 1_000_000_000
"""How much later than its stamp a message may have been logged and still be found."""


class RosbagReader:
    """The episodes of one or several bags; see `DatasetReader`.

    Args:
        path: Bag, or folder of bags.
        bags: What is there.
        options: The robot, and how episodes are cut.

    Raises:
        ConfigError: If no robot is given.
        DataError: If a topic that is needed is not there, or an image is damaged.
    """

    def __init__(self, path: Path, bags: Sequence[Bag], options: SourceOptions) -> None:
        if not options.robot:
            raise ConfigError(
                "a bag does not say what its topics mean", where=path, hint="name the --robot"
            )
        self.path = path
        self._options = options
        self._robot = load_robot(options.robot)
        fresh_s = self._robot.max_age_s if options.freshness_s is None else options.freshness_s
        self._fresh_ns = round(fresh_s * 1e9)
        self._period_ns = round(1e9 * self._robot.dt_s)
        self._commands = Commands(self._robot)
        self._topics = find_topics(bags[0], self._robot)
        self._spans = [span for bag in bags for span in self._cut(bag)]
        if not self._spans:
            raise DataError("no episode", where=path, hint="see --gap-s and --episode-topic")
        self.description = describe(bags[0], self._topics, self._robot)
        self.left_out = unused(bags, self._used(bags))
        self.left_out += [line for bag in bags for line in bag.disagreements()]

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._spans)

    def recording(self, position: int) -> Recording:
        """See `DatasetReader.recording`."""
        span = self._spans[position]
        where = f"{span.bag.path}, episode {position}"
        # The picture that is seen at the first step may be older than it.
        start_ns = span.start_ns - self._fresh_ns - _LATENCY_NS
        streams = read_streams(span, self._topics, self._robot, self._commands, start_ns=start_ns)
        return self._recording(span, streams, position, where, start_ns)

    def statistics(self, position: int) -> Mapping[str, FeatureStatistics]:
        """None are in a bag."""
        return {}

    def _recording(
        self, span: Span, streams: Streams, position: int, where: str, start_ns: int
    ) -> Recording:
        moments, joints = streams.joints.sorted()
        inside = moments >= span.start_ns - _LATENCY_NS
        if self._options.episode_topic:
            inside &= moments >= span.start_ns
        picks = self._picks(streams, moments)
        for what, found in picks.items():
            if (found[inside] == MISSING).all():
                raise DataError(
                    f"{what} is never there in time",
                    where=where,
                    expected=f"within {self._fresh_ns * 1e-9:g} s before the joint states",
                )
        complete = inside & np.all([found != MISSING for found in picks.values()], axis=0)
        steps = np.flatnonzero(complete)
        steps = steps[due(moments[steps], period_ns=self._period_ns)]
        positions = self._positions(span.bag, [joints[i] for i in steps.tolist()])
        commanded, known = self._commanded(streams, moments[steps], positions, span)
        steps, positions, commanded = steps[known], positions[known], commanded[known]
        if not len(steps):
            raise DataError("nothing was commanded", where=where)
        states = self._states(span.bag, streams, positions, steps, picks)
        columns: dict[str, NDArray[Any]] = {
            STATE: states,
            ACTION: self._actions(commanded, states),
        }
        if ENVIRONMENT_STATE in picks:
            _, values = streams.environment.sorted()
            columns[ENVIRONMENT_STATE] = self._environment(
                [values[i] for i in picks[ENVIRONMENT_STATE][steps].tolist()], where
            )
        columns[STAMP] = moments[steps][:, None]
        notes = dict(notes_of(span.bag.custom))
        return Recording(
            index=position,
            columns=columns,
            frames={
                key: self._frames(
                    span, key, topic, streams.images[key], picks[key][steps], start_ns
                )
                for key, topic in self._topics.images.items()
            },
            task=span.task or notes.pop("task", "") or self._options.task,
            success=_success(notes.pop("success", "")),
            metadata={
                "bag": {
                    **notes,
                    "missed_steps": missed_steps(moments[steps], period_ns=self._period_ns),
                }
            },
            where=where,
        )

    def _picks(self, streams: Streams, moments: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """What to message for every joint state, `MISSING` where there was none in time."""
        picks: dict[str, NDArray[np.int64]] = {}
        if self._topics.pose is not None:
            times, _ = streams.pose.sorted()
            picks[self._topics.pose] = nearest(times, moments, skew_ns=self._period_ns // 2)
        if self._topics.environment is not None:
            times, _ = streams.environment.sorted()
            picks[ENVIRONMENT_STATE] = as_of(times, moments, oldest_ns=self._fresh_ns)
        for key, images in streams.images.items():
            times, _ = images.sorted()
            picks[key] = as_of(times, moments, oldest_ns=self._fresh_ns)
        return picks

    def _actions(
        self, commanded: NDArray[np.floating], states: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """What was commanded as actions, which may be displacements where commands are places."""
        actions = [
            np.append(action_from_values(self._robot, command[:-1], state), command[-1])
            for command, state in zip(commanded, states, strict=True)
        ]
        return np.array(actions).astype(np.float32)

    def _positions(self, bag: Bag, joints: list[RawMessage]) -> NDArray[np.float64]:
        """(N, J + 1) joints [rad] and finger of the steps."""
        rows = [decode_positions(bag, raw, self._robot) for raw in joints]
        return np.array(rows).reshape(len(rows), len(self._robot.joint_names) + 1)

    def _commanded(
        self,
        streams: Streams,
        moments: NDArray[np.int64],
        positions: NDArray[np.float64],
        span: Span,
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Motion and gripper of every step, and whether there is one."""
        end_ns = max(span.end_ns, int(moments[-1]) if len(moments) else 0)
        times, sent = streams.motion.sorted()
        times, values = self._commands.in_order(list(zip(times.tolist(), sent, strict=True)))
        motion, known = motions(
            times, values, moments=moments, end_ns=end_ns, is_delta=self._commands.is_delta
        )
        times, fractions = streams.gripper.sorted()
        gripper, commanded = grippers(
            times, np.array(fractions, dtype=np.float64), moments=moments, end_ns=end_ns
        )
        # A gripper that was never commanded is taken to be meant to be where it is.
        finger = [self._robot.gripper.fraction_from_position(m) for m in positions[:, -1].tolist()]
        gripper = np.where(commanded, gripper, np.array(finger).reshape(len(moments)))
        # The recorder remembers commands in single precision.
        return np.column_stack([motion, gripper]).astype(np.float32).astype(np.float64), known

    def _states(
        self,
        bag: Bag,
        streams: Streams,
        joints: NDArray[np.float64],
        steps: NDArray[np.int64],
        picks: Mapping[str, NDArray[np.int64]],
    ) -> NDArray[np.float32]:
        chain, pose_topic = self._robot.kinematics, self._topics.pose
        _, poses = streams.pose.sorted()
        states: list[NDArray[np.float32]] = []
        for step, positions in zip(steps.tolist(), joints, strict=True):
            if pose_topic is not None:
                position, R = decode_pose(bag, poses[picks[pose_topic][step]], self._robot)
            else:
                assert chain is not None  # a description without either is refused
                base_T_ee = chain.pose(positions[:-1])
                position, R = base_T_ee[:3, 3], base_T_ee[:3, :3]
            state = self._robot.proprioception(
                joint_positions=positions[:-1],
                gripper_m=float(positions[-1]),
                ee_position=position,
                base_R_ee=R,
            )
            states.append(state)
        return np.stack(states)

    def _environment(self, values: list[Any], where: str) -> NDArray[np.float32]:
        expected = self.description.features[ENVIRONMENT_STATE].shape
        for value in values:
            if value.shape != expected:
                raise DataError(
                    "another privileged state", where=where, expected=expected, got=value.shape
                )
        return np.stack(values)

    def _frames(
        self,
        span: Span,
        key: str,
        topic: str,
        images: Stream,
        picks: NDArray[np.int64],
        start_ns: int,
    ) -> MessageFrames:
        _, numbers = images.sorted()
        chosen = np.array([numbers[i] for i in picks.tolist()], dtype=np.int64)
        if (np.diff(chosen) < 0).any():
            raise DataError("stamps go back", where=f"{span.bag.path}, {topic}")
        feature = self.description.features[key]
        return MessageFrames(span.bag, topic, feature, chosen, start_ns, span.end_ns)

    def _used(self, bags: Sequence[Bag]) -> set[str]:
        """Topics that are read, and those that a robot description tells without them."""
        known = {self._options.episode_topic}
        for camera in self._robot.cameras.values():
            known |= {find_topic(bag, camera.info_topic) or "" for bag in bags}
        return self._topics.all | known

    def _cut(self, bag: Bag) -> list[Span]:
        joints = require_topic(bag, self._robot.joint_states_topic)
        if self._options.episode_topic:
            topic = require_topic(bag, self._options.episode_topic)
            times = bag.log_times(joints)
            return by_topic(bag, topic, end_ns=int(times[-1]) if len(times) else 0)
        return by_gaps(bag, joints, gap_s=self._options.gap_s, after_s=self._robot.dt_s)


def _success(text: str) -> Success:
    return Success(text) if text in list(Success) else Success.UNKNOWN
