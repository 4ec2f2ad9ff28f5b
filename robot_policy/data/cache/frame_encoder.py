"""What is kept of a camera's frames: the frames at a size, or features of them."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.images import RESIZING, resize
from robot_policy.core.specs import ArraySpec, image_spec


class FrameEncoder(Protocol):
    """Turns frames into what training reads: the same frames always into the same numbers."""

    @property
    def key(self) -> str:
        """Name for everything the numbers depend on: kind, size, and a digest of any weights."""
        ...

    def spec(self, frame: ArraySpec) -> ArraySpec:
        """Returns the spec of what becomes of a frame."""
        ...

    def encode(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        """Encodes (n, h, w, 3) to (n, ...); several threads call it at once."""
        ...


@dataclass(frozen=True, slots=True)
class SizedFrames:
    """The frames themselves.

    Attributes:
        size: (height, width) they are brought to [px]; as they are if None.

    Raises:
        ConfigError: If the size is not positive.
    """

    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise ConfigError("an image needs pixels", got=f"{self.size[0]} x {self.size[1]}")

    @property
    def key(self) -> str:
        """Size, and how it is reached."""
        if self.size is None:
            return "frames"
        return f"frames-{RESIZING}-{self.size[0]}x{self.size[1]}"

    def spec(self, frame: ArraySpec) -> ArraySpec:
        """Spec of the images."""
        return frame if self.size is None else image_spec(*self.size)

    def encode(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(n, h, w, 3) to (n, height, width, 3)."""
        return frames if self.size is None else resize(frames, self.size)
