"""Images that come one by one and are wanted as one array: in memory, or in a file meanwhile."""

import tempfile
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ImageStack(Protocol):
    """Collects images of one size."""

    def append(self, image: NDArray[np.uint8]) -> None:
        """Adds a copy of an image (h, w, 3)."""
        ...

    def take(self, count: int) -> NDArray[np.uint8]:
        """Returns the first `count` images (N, h, w, 3); the stack is done with."""
        ...

    def close(self) -> None:
        """Forgets them; does nothing after `take`."""
        ...


class MemoryStack:
    """In memory.

    Args:
        shape: Of an image.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._images: list[NDArray[np.uint8]] = []

    def append(self, image: NDArray[np.uint8]) -> None:
        """See `ImageStack.append`."""
        self._images.append(image.copy())

    def take(self, count: int) -> NDArray[np.uint8]:
        """See `ImageStack.take`."""
        images, self._images = self._images[:count], []
        return np.stack(images) if images else np.empty((0, *self._shape), np.uint8)

    def close(self) -> None:
        """See `ImageStack.close`."""
        self._images.clear()


class FileStack:
    """In a file without a name, whose space is free again once nobody reads it any more.

    Args:
        shape: Of an image.
        folder: On the disk to use; made with the first image.
    """

    def __init__(self, shape: tuple[int, ...], *, folder: Path) -> None:
        self._shape = shape
        self._folder = folder
        self._file = None

    def append(self, image: NDArray[np.uint8]) -> None:
        """See `ImageStack.append`.

        Raises:
            OSError: If the disk is full.
        """
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Open as long as the stack is.
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        self._file.write(np.ascontiguousarray(image).data)

    def take(self, count: int) -> NDArray[np.uint8]:
        """See `ImageStack.take`."""
        if self._file is None or count == 0:
            self.close()
            return np.empty((0, *self._shape), np.uint8)
        self._file.flush()
        images = np.memmap(self._file, np.uint8, mode="r", shape=(count, *self._shape))
        self.close()  # the mapping lives on
        return images

    def close(self) -> None:
        """See `ImageStack.close`."""
        if self._file is not None:
            self._file.close()
            self._file = None
