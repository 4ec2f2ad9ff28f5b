"""Random windows as lerobot loads them: its dataset behind torch's loader, as in its training."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from robot_policy.core.observation import ACTION, STATE, image_key
from robot_policy.policies.peers.library import quiet_library
from robot_policy.training.loader_speed import ACTION_IS_PAD, ImageKind, TensorBatch


class LerobotLoader:
    """Windows of ``LeRobotDataset``.

    Args:
        path: Dataset in LeRobot's format v3.0.
        rate_hz: Of its frames.
        cameras: Whose images are handed over; lerobot decodes those of all cameras.
        horizon: H.
        batch_size: B.
        workers: Processes of torch's loader.
        images: How images are handed over; lerobot does without the conversion if it may.

    Attributes:
        video_backend: What lerobot decodes with.
    """

    def __init__(
        self,
        path: Path,
        *,
        rate_hz: float,
        cameras: tuple[str, ...],
        horizon: int,
        batch_size: int,
        workers: int,
        images: ImageKind,
    ) -> None:
        self.name = f"lerobot, {images}"
        self._images = images
        self._wanted = (STATE, ACTION, ACTION_IS_PAD, *map(image_key, cameras))
        with quiet_library("lerobot"):
            from lerobot.datasets.lerobot_dataset import LeRobotDataset
            from lerobot.datasets.video_utils import get_safe_default_video_backend

            self.video_backend: str = get_safe_default_video_backend()
            self._dataset: Any = LeRobotDataset(
                "local/dataset",
                root=path,
                delta_timestamps={ACTION: [step / rate_hz for step in range(horizon)]},
                return_uint8=images == ImageKind.UINT8,
            )
        self._options: dict[str, Any] = {"batch_size": batch_size, "num_workers": workers}
        if workers:
            self._options["multiprocessing_context"] = "fork"

    def batches(self, order: NDArray[np.int64]) -> Iterator[TensorBatch]:
        """See `Loader`."""
        loader = DataLoader(self._dataset, sampler=order.tolist(), drop_last=True, **self._options)
        for batch in loader:
            yield {key: self._of_images(key, batch[key]) for key in self._wanted}

    def _of_images(self, key: str, values: Any) -> Any:
        if self._images == ImageKind.UINT8 and key not in (STATE, ACTION, ACTION_IS_PAD):
            return values.permute(0, 2, 3, 1)  # a view; our networks undo it the same way
        return values
