"""What a policy remembers: T observations and P executed actions, `history_stride` apart."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import SpecError
from robot_policy.core.observation import Observation, Windows
from robot_policy.core.specs import PolicySpec


class History:
    """Keeps what `spec` asks for and hands it out as `Windows` with B = 1.

    Args:
        spec: Of the policy.
    """

    def __init__(self, spec: PolicySpec) -> None:
        self._spec = spec
        stride = spec.history_stride
        self._observations: deque[Observation] = deque(maxlen=(spec.history - 1) * stride + 1)
        self._actions: deque[NDArray[np.float32]] = deque(maxlen=max(spec.past * stride, 1))

    def reset(self) -> None:
        """Forgets everything."""
        self._observations.clear()
        self._actions.clear()

    def observe(self, observation: Observation) -> None:
        """Adds an observation after checking it against the policy's spec.

        Raises:
            SpecError: If the state or an image is missing, of another size or not finite.
        """
        spec = self._spec
        spec.state.validate(observation.state, where="observation.state")
        if spec.environment_state is not None:
            if observation.environment_state is None:
                raise SpecError("missing", where="observation.environment_state")
            spec.environment_state.validate(
                observation.environment_state, where="observation.environment_state"
            )
        for camera, image_spec in spec.cameras.items():
            if camera not in observation.images:
                raise SpecError("missing", where=f"observation.images.{camera}")
            image_spec.validate(observation.images[camera], where=f"observation.images.{camera}")
        self._observations.append(observation)

    def executed(self, action: NDArray[np.float32]) -> None:
        """Adds an action (A,) that was really sent."""
        self._actions.append(action)

    def windows(self) -> Windows:
        """Returns the window of now; the first observation is repeated where there was none.

        Raises:
            SpecError: Before the first observation.
        """
        if not self._observations:
            raise SpecError("no observation yet", where="history")
        spec = self._spec
        stride = spec.history_stride
        seen = list(self._observations)[::-1][::stride][::-1]  # the newest is always among them
        padding = spec.history - len(seen)
        window = [self._observations[0]] * padding + seen
        past = np.zeros((spec.past, *spec.action.shape), dtype=np.float32)
        # One stride before now, two, and so on.
        executed = list(self._actions)[::-1][stride - 1 :: stride][::-1]
        known = min(len(executed), spec.past)
        if known:
            past[spec.past - known :] = executed[-known:]
        return Windows(
            state=np.stack([o.state for o in window])[None].astype(np.float32),
            past=past[None],
            valid=(np.arange(spec.history) >= padding)[None],
            past_valid=(np.arange(spec.past) >= spec.past - known)[None],
            environment_state=self._environment_state(window),
            images={c: np.stack([o.images[c] for o in window])[None] for c in spec.cameras},
            instructions=(window[-1].instruction,),
        )

    def _environment_state(self, window: list[Observation]) -> NDArray[np.float32] | None:
        if self._spec.environment_state is None:
            return None
        states = [o.environment_state for o in window if o.environment_state is not None]
        return np.stack(states)[None].astype(np.float32)
