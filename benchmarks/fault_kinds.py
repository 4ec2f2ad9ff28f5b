"""What can go wrong around a policy node: each kind breaks something and mends it again."""

import contextlib
import copy
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
from fault_rig import MAX_AGE_S, PLAN_DEADLINE_S, Change, FaultRig, input_topics
from rclpy.parameter import Parameter

from robot_policy_ros.conversions import ns_from_stamp, stamp_from_ns
from robot_policy_ros.lifecycle_client import NodeRefusedError

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One way of breaking things.

    Attributes:
        name: Of the kind.
        apply: Breaks it.
        words: What ``/diagnostics`` must say, in lower case.
        clear: Mends it, before the node is asked to recover.
        notice_s: Time after which it can be noticed at the earliest [s]: the age limit of an
            input that stops, the deadline of a plan.
        of_plan: Whether that time runs from when the plan is asked for that does not come. A chunk
            that is there is executed until then: nothing is wrong with it.
        holds: Whether the arm must hold; otherwise it goes on as if nothing had happened.
        kills: Whether it ends a process. The system takes its time to do so, a tenth of a second
            for one that holds a gigabyte, and until then nobody can tell; time counts from its end.
    """

    name: str
    apply: Callable[[FaultRig], None]
    words: str
    clear: Callable[[FaultRig], None]
    notice_s: float = 0.0
    holds: bool = True
    kills: bool = False
    of_plan: bool = False


def fault_kinds(rig: FaultRig) -> list[FaultKind]:
    """Returns all kinds for a policy that runs on this machine."""
    joints, pose, privileged = input_topics(rig.robot)
    kinds = [
        _topic(f"{topic} stops", topic, lambda _: [], topic, notice_s=MAX_AGE_S)
        for topic in (joints, pose, privileged)
    ]
    for topic in (joints, pose):
        kinds += [
            _topic(f"{topic} freezes", topic, _Freeze(), topic, notice_s=MAX_AGE_S),
            _topic(f"{topic} jumps ahead", topic, _shifted(10 * _NS), topic),
            _topic(f"{topic} jumps back", topic, _shifted(-10 * _NS), topic),
        ]
    nan, infinite = float("nan"), float("inf")
    kinds += [
        _topic("NaN joint", joints, _joint(position=nan), joints),
        _topic("infinite joint", joints, _joint(position=infinite), joints),
        _topic("NaN pose", pose, _nan_pose, pose),
        _topic("NaN privileged state", privileged, _data(lambda d: [nan, *d[1:]]), privileged),
        _topic("missing joint", joints, _joint(drop=True), joints),
        _topic("renamed joint", joints, _joint(name="elbow"), joints),
        _topic("too few positions", joints, _too_few, joints),
        _topic("wrong size", privileged, _data(lambda d: list(d)[:-1]), privileged),
        _topic("wrong frame", pose, _wrong_frame, pose),
        _topic("wild joint", joints, _joint(position=40.0), joints),
        FaultKind("worker killed", _kill_worker, "process", _configure_anew, kills=True),
        FaultKind(
            "deadline missed",
            lambda r: r.worker().send_signal(signal.SIGSTOP),
            "plan takes longer",
            lambda r: r.worker().send_signal(signal.SIGCONT),
            notice_s=PLAN_DEADLINE_S,
            of_plan=True,
        ),
        FaultKind(
            "twin restarted",
            lambda r: r.kill_twin(),
            joints,
            lambda r: r.restart_twin(),
            notice_s=MAX_AGE_S,
            kills=True,
        ),
        FaultKind("emergency stop", _stop, "emergency stop", lambda _: None),
        FaultKind("parameter out of range", _bad_parameter, "", lambda _: None, holds=False),
        _topic("ten times the rate", joints, lambda m: [m] * 10, f"rate of {joints}", holds=False),
    ]
    return kinds


def _topic(
    name: str, topic: str, change: Change, words: str, *, notice_s: float = 0.0, holds: bool = True
) -> FaultKind:
    def apply(rig: FaultRig) -> None:
        if isinstance(change, _Freeze):
            change.thaw()
        rig.relay.changes[topic] = change

    def clear(rig: FaultRig) -> None:
        rig.relay.changes.pop(topic, None)

    return FaultKind(name, apply, words, clear, notice_s, holds)


class _Freeze:
    """Sends the first message again and again."""

    def __init__(self) -> None:
        self._first: Any = None

    def thaw(self) -> None:
        self._first = None

    def __call__(self, message: Any) -> list[Any]:
        self._first = self._first or message
        return [self._first]


def _shifted(offset_ns: int) -> Change:
    def change(message: Any) -> list[Any]:
        message.header.stamp = stamp_from_ns(ns_from_stamp(message.header.stamp) + offset_ns)
        return [message]

    return change


def _joint(*, position: float | None = None, name: str | None = None, drop: bool = False) -> Change:
    def change(message: Any) -> list[Any]:
        names, positions = list(message.name), list(message.position)
        if drop:
            del names[2], positions[2]
            message.velocity = []
        if position is not None:
            positions[2] = position
        if name is not None:
            names[2] = name
        message.name, message.position = names, positions
        return [message]

    return change


def _too_few(message: Any) -> list[Any]:
    message.position = list(message.position)[:-2]
    return [message]


def _data(change: Callable[[Any], list[float]]) -> Change:
    def changed(message: Any) -> list[Any]:
        message = copy.deepcopy(message)
        message.data = change(message.data)
        return [message]

    return changed


def _nan_pose(message: Any) -> list[Any]:
    message.pose.position.x = float("nan")
    return [message]


def _wrong_frame(message: Any) -> list[Any]:
    message.header.frame_id = "camera_link"
    return [message]


def _kill_worker(rig: FaultRig) -> None:
    worker = rig.worker()
    worker.kill()
    with contextlib.suppress(psutil.NoSuchProcess):
        while worker.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.001)


def _configure_anew(rig: FaultRig) -> None:
    """A dead worker comes back with the next configuration, and not by itself."""
    state = rig.caller.state(rig.policy, timeout_s=20.0)
    labels = (
        ["cleanup", "configure"] if state == "inactive" else ["deactivate", "cleanup", "configure"]
    )
    for label in labels:
        rig.caller.transition(rig.policy, label, timeout_s=120.0)


def _stop(rig: FaultRig) -> None:
    rig.caller.trigger(f"{rig.policy}/emergency_stop", timeout_s=20.0)


def _bad_parameter(rig: FaultRig) -> None:
    for name, value in (("num_samples", 0), ("max_age_s", -1.0)):
        try:
            rig.caller.set_parameters(rig.policy, {name: value}, timeout_s=20.0)
        except NodeRefusedError:
            continue
        raise AssertionError(f"{Parameter(name, value=value)} was taken")
