"""Turns a window of normalised observations into features."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from robot_policy.core.observation import ENVIRONMENT_STATE, STATE, image_key
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.crop import centre_crop, random_crop
from robot_policy.nets.draws import Draws
from robot_policy.nets.vision import CameraEncoder, VisionConfig


class ObservationEncoder(nn.Module):
    """Per observation: the state, the privileged state, and the features of every camera.

    Every camera has an encoder of its own, in the order of the spec. Without cameras there is
    nothing to learn here.

    Args:
        spec: Of the policy.
        vision: Of the camera encoders.

    Attributes:
        step_features: F, features of one observation.
        out_features: T * F, features of the window.

    Raises:
        ConfigError: If a hyper-parameter is out of range or does not suit the images.
    """

    def __init__(self, spec: PolicySpec, vision: VisionConfig) -> None:
        super().__init__()
        vision.check_vision()
        self._keys = [STATE]
        size = spec.state.size
        if spec.environment_state is not None:
            self._keys.append(ENVIRONMENT_STATE)
            size += spec.environment_state.size
        self._cameras = tuple(spec.cameras)
        # A list, because camera names may hold characters that names of modules must not.
        encoders = [CameraEncoder(image, vision) for image in spec.cameras.values()]
        self.cameras = nn.ModuleList(encoders)
        self.step_features = size + sum(encoder.out_features for encoder in encoders)
        self.out_features = spec.history * self.step_features

    def forward(self, batch: Mapping[str, Tensor], *, draws: Draws | None = None) -> Tensor:
        """Returns (B, T, F).

        Args:
            batch: (B, T, S) states, (B, T, E) privileged states, (B, T, h, w, 3) uint8 images, or
                (B, T, 2K) features that the encoders made of them before.
            draws: In training, for the places of the crops; None crops the centre.
        """
        features = [batch[key] for key in self._keys]
        for camera, encoder in zip(self._cameras, self.camera_encoders(), strict=True):
            images = batch[image_key(camera)]
            encoded = images.is_floating_point()
            features.append(images if encoded else _encode(encoder, images, draws))
        return torch.cat(features, dim=-1)

    def camera_encoders(self) -> list[CameraEncoder]:
        """Returns the encoder of every camera, in the order of the spec."""
        return [encoder for encoder in self.cameras if isinstance(encoder, CameraEncoder)]


def _encode(encoder: CameraEncoder, images: Tensor, draws: Draws | None) -> Tensor:
    """(B, T, h, w, 3) to (B, T, 2K)."""
    if draws is None:
        cropped = centre_crop(images, encoder.size)
    else:
        cropped = random_crop(images, encoder.size, draws=draws)
    return encoder(cropped.flatten(0, 1)).unflatten(0, images.shape[:2])
