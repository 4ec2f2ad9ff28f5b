"""What the page shows: written by the control loop, read by the server."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.runtime.planning import Plan
from robot_policy.teleop.arm import TeleopArm
from robot_policy.teleop.driving import Driver
from robot_policy.teleop.paths import chunk_paths
from robot_policy.teleop.session import Session

_RATE_WINDOW = 40
_DRAWN = 16
"""Candidates that are drawn at most."""


class Board:
    """Keeps the newest state and pictures. Nothing is encoded in the control loop.

    Args:
        arm: Whose cameras are shown.
        session: Whose state is shown.
        cameras: Names of the cameras.
    """

    def __init__(self, arm: TeleopArm, session: Session, cameras: tuple[str, ...]) -> None:
        self.cameras = cameras
        self._arm = arm
        self._session = session
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {}
        self._pictures: dict[str, tuple[int, NDArray[np.uint8]]] = {}
        self._periods_s: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._turn = 0
        self._plan: Plan | None = None
        self._paths: dict[str, Any] = {}

    def show(self) -> None:
        """Takes what there is now; called by the control loop after every period."""
        self._periods_s.append(time.monotonic())
        self._look()
        state = self._described()
        with self._lock:
            self._state = state

    def state(self) -> dict[str, Any]:
        """Returns the newest state, JSON-ready."""
        with self._lock:
            return self._state

    def picture(self, camera: str) -> tuple[int, NDArray[np.uint8]] | None:
        """Returns the newest picture and its number, which counts up."""
        with self._lock:
            return self._pictures.get(camera)

    def _look(self) -> None:
        """Takes new pictures; of cameras that have to be drawn, one per period."""
        if not self.cameras:
            return
        self._turn = (self._turn + 1) % len(self.cameras)
        observation, _ = self._arm.observe()
        recorded = () if observation is None else tuple(observation.images)
        for number, camera in enumerate(self.cameras):
            if camera not in recorded and number != self._turn:
                continue
            image = self._arm.picture(camera)
            if image is None:
                continue
            with self._lock:
                before = self._pictures.get(camera)
                if before is None or before[1] is not image:
                    self._pictures[camera] = (0 if before is None else before[0] + 1, image)

    def _described(self) -> dict[str, Any]:
        session, arm = self._session, self._arm
        episodes, driven = session.episodes, session.driven
        return {
            "type": "state",
            "phase": session.phase.value,
            "driver": Driver.NOBODY.value if driven is None else driven.driver.value,
            "stopped": session.stopped,
            "task": session.task,
            "solved": arm.solved,
            "start": session.start_number,
            "recording": episodes.recording,
            "records": episodes.output is not None,
            "steps": episodes.steps,
            "seconds": round(episodes.steps * arm.robot.dt_s, 2),
            "next_episode": episodes.number,
            "waiting": episodes.waiting,
            "kept": [
                {
                    "number": kept.number,
                    "steps": kept.steps,
                    "success": kept.success.value,
                    "interventions": kept.interventions,
                }
                for kept in episodes.kept
            ],
            "closed": (session.driving.gripper or 0.0) > 0.5,
            "reasons": [] if driven is None else list(driven.reasons),
            "rate_hz": self._rate_hz(),
            "messages": [
                {"number": m.number, "level": m.level, "text": m.text} for m in session.messages
            ],
            **self._arm_state(),
            "policy": self._policy(),
            "paths": self._paths,
        }

    def _rate_hz(self) -> float:
        if len(self._periods_s) < 2:
            return 0.0
        span_s = self._periods_s[-1] - self._periods_s[0]
        return round((len(self._periods_s) - 1) / span_s, 1) if span_s > 0 else 0.0

    def _arm_state(self) -> dict[str, Any]:
        observation, problem = self._arm.observe()
        if observation is None:
            return {"problem": problem, "joints": [], "gripper": None, "position": None}
        robot, state = self._arm.robot, observation.state
        limits = robot.joint_limits
        rows = zip(
            robot.joint_names, robot.joint_positions(state), limits.low, limits.high, strict=True
        )
        return {
            "problem": "",
            "joints": [
                {"name": n, "value": round(float(q), 3), "low": low, "high": high}
                for n, q, low, high in rows
            ],
            "gripper": round(robot.gripper_fraction(state), 3),
            "position": [round(float(x), 3) for x in robot.ee_position(state)],
        }

    def _policy(self) -> Mapping[str, Any]:
        driving = self._session.driving
        agent = driving.agent
        if agent is None:
            return {"there": False, "runs": False}
        if agent.received is not None:
            self._plan = agent.received
            self._paths = self._drawn_paths(agent.received)
        if not driving.policy_runs:
            self._paths = {}
        plan = self._plan
        record = plan.steering[0] if plan is not None and plan.steering else None
        return {
            "there": True,
            "runs": driving.policy_runs,
            "fault": driving.policy_fault,
            "planning_ms": None if plan is None else round(plan.duration_ns * 1e-6, 1),
            "value": None if record is None or record.value is None else round(record.value, 3),
            "spread": None if plan is None else plan.candidate_spread,
            "candidates": 0 if plan is None or plan.candidates is None else len(plan.candidates),
        }

    def _drawn_paths(self, plan: Plan) -> dict[str, Any]:
        """Per camera: the chosen chunk's path first, then the candidates'; places in 0 .. 1."""
        observation, _ = self._arm.observe()
        if observation is None:
            return {}
        chunks = plan.chunk[None]
        if plan.candidates is not None:
            chunks = np.concatenate([chunks, plan.candidates[:_DRAWN]])
        places = chunk_paths(self._arm.robot, chunks, observation.state)
        found: dict[str, Any] = {}
        for camera in self.cameras:
            view = self._arm.view(camera)
            if view is not None:
                seen = np.nan_to_num(np.round(view.project(places), 4), nan=-1.0)
                found[camera] = seen.tolist()
        return found
