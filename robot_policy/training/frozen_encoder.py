"""Camera encoders of a trained policy, kept as they are: frames are encoded once, into the cache.

Multistage training (Torne et al. 2025): a long context costs as many images per window as it has
observations. Encoders from a short context, frozen, make them numbers before the training begins.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from robot_policy.checkpoint import load_policy
from robot_policy.core.errors import ConfigError
from robot_policy.core.images import resize
from robot_policy.core.specs import ArraySpec, PolicySpec
from robot_policy.data.cache.frame_encoder import FrameEncoder
from robot_policy.data.cache.location import NONE
from robot_policy.nets.crop import centre_crop
from robot_policy.nets.observation_encoder import ObservationEncoder
from robot_policy.nets.trainable import TrainableModule
from robot_policy.nets.vision import CameraEncoder, VisionConfig
from robot_policy.policies.torch_policy import TorchPolicy
from robot_policy.training.config import TrainConfig


@dataclass(frozen=True)
class FrozenEncoder:
    """The encoders of a checkpoint.

    Attributes:
        path: Of the checkpoint.
        encoder: Its observation encoder.
        cameras: Camera name to the images that it was trained on, in its order.
        vision: Hyper-parameters of the encoders.
    """

    path: str
    encoder: ObservationEncoder
    cameras: Mapping[str, ArraySpec]
    vision: Mapping[str, Any]

    def frame_encoders(self) -> dict[str, FrameEncoder]:
        """Returns what the cache keeps of every camera's frames."""
        return {
            camera: EncodedFrames(encoder, (image.shape[0], image.shape[1]))
            for (camera, image), encoder in zip(
                self.cameras.items(), self.encoder.camera_encoders(), strict=True
            )
        }

    def hyper_parameters(self, policy: Any) -> Any:
        """Returns those of a policy whose camera encoders are to be these."""
        return replace(policy, **self.vision)

    def restore_images(self, spec: PolicySpec) -> PolicySpec:
        """Returns the spec of the data as it is before the frames are encoded."""
        return replace(spec, cameras=dict(self.cameras))

    def freeze(self, module: TrainableModule[Any]) -> None:
        """Puts the encoders in place of the module's, where nothing changes them."""
        own = getattr(module, "encoder", None)
        assert isinstance(own, ObservationEncoder)
        own.cameras.load_state_dict(self.encoder.cameras.state_dict())
        own.cameras.requires_grad_(False)


class EncodedFrames:
    """Features of frames: `FrameEncoder` by a network that stays as it is.

    Args:
        encoder: Of one camera.
        size: (height, width) that frames are brought to before [px].
    """

    def __init__(self, encoder: CameraEncoder, size: tuple[int, int]) -> None:
        self._encoder = encoder.eval()
        self._size = size
        digest = hashlib.sha256(repr((size, encoder.size)).encode())
        for name, value in sorted(encoder.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        self._digest = digest.hexdigest()[:32]

    @property
    def key(self) -> str:
        """Of size, crop and weights."""
        return f"features-{self._digest}"

    def spec(self, frame: ArraySpec) -> ArraySpec:
        """Spec of the features."""
        del frame
        return ArraySpec((self._encoder.out_features,))

    def encode(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, h, w, 3) to (n, 2K), of the centre crop: the same frame is always the same."""
        images = torch.from_numpy(resize(frames, self._size))[:, None]
        with torch.inference_mode():
            features = self._encoder(centre_crop(images, self._encoder.size)[:, 0])
        return features.numpy()


def load_frozen_encoder(config: TrainConfig[Any]) -> FrozenEncoder | None:
    """Loads the encoders that the hyper-parameter ``frozen_encoder`` names.

    Returns:
        None where there is no such hyper-parameter, or it is empty.

    Raises:
        CheckpointError: If there is no usable checkpoint.
        ConfigError: If it has no encoders for the cameras of the run, or for images of this size,
            or there is no cache to keep the features in.
    """
    path = getattr(config.policy, "frozen_encoder", "")
    if not path:
        return None
    where = f"frozen_encoder {path}"
    loaded = load_policy(Path(path))
    encoder = getattr(loaded.module, "encoder", None) if isinstance(loaded, TorchPolicy) else None
    if not isinstance(loaded, TorchPolicy) or not isinstance(encoder, ObservationEncoder):
        raise ConfigError("it has no camera encoders to freeze", where=where)
    cameras = loaded.module.spec.cameras
    if tuple(cameras) != config.cameras:
        raise ConfigError(
            "it was trained on other cameras",
            where=f"{where} and --cameras",
            expected=" ".join(cameras) or "a policy that sees",
            got=" ".join(config.cameras) or "none",
        )
    if config.cache == NONE:
        raise ConfigError("nowhere to keep the features", where=f"{where} and --cache none")
    for camera, image in cameras.items():
        if config.image_size is not None and config.image_size != image.shape[:2]:
            raise ConfigError(
                f"it was trained on images of another size ({camera})",
                where=f"{where} and --image-size",
                expected=f"{image.shape[0]} {image.shape[1]}",
                got=f"{config.image_size[0]} {config.image_size[1]}",
            )
    names = [field.name for field in fields(VisionConfig)]
    vision = {name: getattr(loaded.module.config, name) for name in names}
    return FrozenEncoder(path, encoder, cameras, vision)
