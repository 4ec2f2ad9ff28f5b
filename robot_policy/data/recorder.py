"""Collects the steps of a running robot into an episode."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import SpecError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE, Observation, image_key
from robot_policy.core.specs import PolicySpec
from robot_policy.data.image_stack import FileStack, ImageStack, MemoryStack


class EpisodeRecorder:
    """Takes observations with the actions that followed them, until the episode is over.

    Every step is checked when it is appended, so that a fault is found while the robot moves and
    not when the episode is saved.

    Args:
        spec: What every step holds.
        spool: Folder for the images of the episode that is under way; None keeps them in memory,
            a gigabyte a minute for one camera of 640 x 480 at 20 Hz.
        interventions: Whether episodes tell where a person drove instead of a policy.
    """

    def __init__(
        self, spec: PolicySpec, *, spool: Path | None = None, interventions: bool = False
    ) -> None:
        self._spec = spec
        self._spool = spool
        self._interventions = interventions
        self._images: dict[str, ImageStack] = {}
        self.discard()

    def __len__(self) -> int:
        """Steps so far."""
        return len(self._observations)

    def append(
        self,
        observation: Observation,
        action: NDArray[np.float32],
        *,
        reward: float = 0.0,
        success: bool = False,
        intervention: bool = False,
        policy_action: NDArray[np.float32] | None = None,
    ) -> None:
        """Adds one step. Arrays are copied.

        Args:
            observation: What was seen; its instruction is the task of the episode.
            action: (A,) what was commanded then.
            reward: Of this step.
            success: Whether the goal was reached; once true it stays true.
            intervention: Whether a person drove instead of the policy.
            policy_action: (A,) what the policy wanted; what was commanded if None.

        Raises:
            SpecError: If the step does not fit the spec, is not later than the one before, or has
                another instruction. The steps before are kept.
        """
        where = f"step {len(self)}"
        self._check_order(observation, where)
        kept = Observation(
            stamp_ns=observation.stamp_ns,
            state=self._spec.state.validate(observation.state, where=f"{where}, {STATE}").copy(),
            environment_state=self._environment_state(observation, where),
            instruction=observation.instruction,
        )
        images = self._checked_images(observation, where)
        command = self._spec.action.validate(action, where=f"{where}, {ACTION}").copy()
        wanted = command if policy_action is None else policy_action
        wanted = self._spec.action.validate(wanted, where=f"{where}, policy_action").copy()
        if not np.isfinite(reward):
            raise SpecError("not finite", where=f"{where}, reward", got=reward)
        for camera, image in images.items():
            self._images[camera].append(image)
        self._observations.append(kept)
        self._actions.append(command)
        self._intervention.append(intervention)
        self._policy_actions.append(wanted)
        self._rewards.append(reward)
        self._success = self._success or success

    def finish(
        self, success: Success | None = None, *, metadata: Mapping[str, Any] | None = None
    ) -> Episode:
        """Returns the episode and begins the next one.

        Args:
            success: Outcome as a person judged it; if None, what the steps said.
            metadata: Kept with the episode.

        Raises:
            SpecError: If there is no step.
        """
        if not self._observations:
            raise SpecError("nothing has been recorded", where="recorder")
        seen = self._observations
        if success is None:
            success = Success.YES if self._success else Success.NO
        privileged = [o.environment_state for o in seen if o.environment_state is not None]
        episode = Episode(
            stamps_ns=np.array([o.stamp_ns for o in seen], dtype=np.int64),
            state=np.stack([o.state for o in seen]),
            actions=np.stack(self._actions),
            task=seen[0].instruction,
            rewards=np.array(self._rewards, dtype=np.float32),
            success=success,
            environment_state=np.stack(privileged) if privileged else None,
            images={camera: stack.take(len(seen)) for camera, stack in self._images.items()},
            metadata=dict(metadata or {}),
            intervention=np.array(self._intervention) if self._interventions else None,
            policy_actions=np.stack(self._policy_actions) if self._interventions else None,
        )
        self.discard()
        return episode

    def discard(self) -> None:
        """Forgets the steps so far."""
        self._observations: list[Observation] = []
        self._actions: list[NDArray[np.float32]] = []
        self._rewards: list[float] = []
        self._intervention: list[bool] = []
        self._policy_actions: list[NDArray[np.float32]] = []
        self._success = False
        for stack in self._images.values():
            stack.close()
        self._images = {
            camera: MemoryStack(image.shape)
            if self._spool is None
            else FileStack(image.shape, folder=self._spool)
            for camera, image in self._spec.cameras.items()
        }

    def _check_order(self, observation: Observation, where: str) -> None:
        if not self._observations:
            return
        last = self._observations[-1]
        if observation.stamp_ns <= last.stamp_ns:
            raise SpecError(
                "capture times must increase",
                where=where,
                expected=f"> {last.stamp_ns} ns",
                got=f"{observation.stamp_ns} ns",
            )
        if observation.instruction != last.instruction:
            raise SpecError(
                "another instruction",
                where=where,
                expected=repr(last.instruction),
                got=repr(observation.instruction),
            )

    def _environment_state(
        self, observation: Observation, where: str
    ) -> NDArray[np.float32] | None:
        spec, value = self._spec.environment_state, observation.environment_state
        if spec is None:
            return None
        if value is None:
            raise SpecError("missing", where=f"{where}, {ENVIRONMENT_STATE}")
        return spec.validate(value, where=f"{where}, {ENVIRONMENT_STATE}").copy()

    def _checked_images(self, observation: Observation, where: str) -> dict[str, NDArray[np.uint8]]:
        images: dict[str, NDArray[np.uint8]] = {}
        for camera, spec in self._spec.cameras.items():
            if camera not in observation.images:
                raise SpecError(
                    f"camera {camera!r} is missing", where=where, valid=observation.images
                )
            place = f"{where}, {image_key(camera)}"
            images[camera] = spec.validate(observation.images[camera], where=place)
        return images
