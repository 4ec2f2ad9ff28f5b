"""The camera encoders against their equations."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ENVIRONMENT_STATE, STATE, image_key
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import ArraySpec, PolicySpec, image_spec
from robot_policy.nets.crop import centre_crop, cropped_size, random_crop
from robot_policy.nets.draws import Draws
from robot_policy.nets.observation_encoder import ObservationEncoder
from robot_policy.nets.spatial_softmax import SpatialSoftmax, expected_place
from robot_policy.nets.vision import CameraEncoder, VisionConfig

SOURCE = load_robot("panda_twin").spec(environment_state=ArraySpec(shape=(3,)))
CAMERAS = {"agent view": image_spec(24, 32), "wrist": image_spec(20, 20)}
SMALL = VisionConfig(crop=0.9, vision_width=4, keypoints=3)


def draws(seed: int = 0, **options: object) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), **options)  # pyright: ignore[reportArgumentType]


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8))


def batch_for(spec: PolicySpec, *, batch: int, history: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    assert spec.environment_state is not None
    return {
        STATE: torch.randn(batch, history, spec.state.size),
        ENVIRONMENT_STATE: torch.randn(batch, history, spec.environment_state.size),
        **{
            image_key(name): images(batch, history, *camera.shape)
            for name, camera in spec.cameras.items()
        },
    }


@pytest.mark.parametrize(("height", "width"), [(5, 5), (3, 7), (1, 2)])
def test_a_single_bright_cell_is_where_it_is(height: int, width: int) -> None:
    for row in range(height):
        for column in range(width):
            logits = torch.full((1, 1, height, width), -1e4)
            logits[0, 0, row, column] = 0.0
            x, y = expected_place(logits)[0, :, 0].tolist()
            assert x == pytest.approx(-1 + 2 * column / (width - 1), abs=1e-6)
            assert y == pytest.approx(-1 + 2 * row / max(1, height - 1), abs=1e-6)


def test_an_even_map_is_at_the_centre() -> None:
    torch.testing.assert_close(expected_place(torch.zeros(2, 3, 4, 6)), torch.zeros(2, 2, 3))


def test_places_are_exact_in_low_precision() -> None:
    logits = torch.randn(1, 8, 5, 5)
    half = expected_place(logits.bfloat16())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected_place(logits.bfloat16().float()))


def test_spatial_softmax_follows_what_moves() -> None:
    """A feature one cell further to the right is one cell further to the right."""
    locate = SpatialSoftmax(1, 1)
    torch.nn.init.constant_(locate.maps.weight, 50.0)
    maps = torch.zeros(2, 1, 5, 5)
    maps[0, 0, 2, 1] = maps[1, 0, 2, 2] = 1.0
    moved = locate(maps)[1] - locate(maps)[0]
    torch.testing.assert_close(moved, torch.tensor([0.5, 0.0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("fraction", "expected"), [(1.0, (84, 90)), (0.9, (76, 81))])
def test_the_size_of_a_crop(fraction: float, expected: tuple[int, int]) -> None:
    assert cropped_size(image_spec(84, 90), fraction) == expected


def test_a_centre_crop_leaves_the_same_on_either_side() -> None:
    whole = images(2, 3, 10, 12, 3)
    torch.testing.assert_close(centre_crop(whole, (6, 8)), whole[:, :, 2:8, 2:10])


def test_a_random_crop_is_a_piece_of_its_image_the_same_for_all_of_a_row() -> None:
    batch, history, height, width = 64, 3, 9, 11
    place = torch.arange(height * width).reshape(height, width)
    frame = torch.arange(batch * history).reshape(batch, history)
    # Every pixel says where it is and whose it is.
    whole = torch.stack(
        [
            place.expand(batch, history, -1, -1),
            frame[:, :, None, None].expand(-1, -1, height, width) % 256,
            torch.zeros(batch, history, height, width, dtype=torch.long),
        ],
        dim=-1,
    ).to(torch.uint8)
    cut = random_crop(whole, (6, 7), draws=draws()).long()
    assert cut.shape == (batch, history, 6, 7, 3)
    assert (cut[..., 1] == frame[:, :, None, None] % 256).all()
    corners = cut[:, :, 0, 0, 0]
    assert (corners == corners[:, :1]).all()
    expected = corners[:, :, None, None] + place[:6, :7]
    assert (cut[..., 0] == expected).all()
    tops, lefts = corners[:, 0] // width, corners[:, 0] % width
    assert set(tops.tolist()) == {0, 1, 2, 3}
    assert set(lefts.tolist()) == {0, 1, 2, 3, 4}


def test_crops_do_not_depend_on_how_a_batch_is_divided() -> None:
    whole = images(4, 2, 9, 9, 3)
    together = random_crop(whole, (5, 5), draws=draws())
    part = random_crop(whole[1:3], (5, 5), draws=draws(rows=slice(1, 3), total=4))
    torch.testing.assert_close(part, together[1:3])


def test_a_crop_of_everything_draws_nothing() -> None:
    whole = images(2, 1, 20, 20, 3)
    torch.testing.assert_close(random_crop(whole, (20, 20), draws=draws()), whole)


@pytest.mark.parametrize("width", [4, 16, 24])
@pytest.mark.parametrize("size", [(24, 32), (33, 20)])
def test_a_camera_encoder_gives_two_features_per_keypoint(
    size: tuple[int, int], width: int
) -> None:
    config = VisionConfig(crop=1.0, vision_width=width, keypoints=5)
    encoder = CameraEncoder(image_spec(*size), config)
    features = encoder(images(2, *size, 3))
    assert features.shape == (2, encoder.out_features) == (2, 10)
    assert features.abs().max() <= 1.0


def test_the_published_width_is_a_resnet18() -> None:
    """11.2 M weights without the classifier; the smaller stem has 64 * 3 * (49 - 25) fewer."""
    encoder = CameraEncoder(image_spec(84, 84), VisionConfig())
    count = sum(p.numel() for p in encoder.net.parameters())
    assert count == 11_176_512 - 64 * 3 * (49 - 25)
    assert not list(encoder.buffers())


def test_nothing_depends_on_the_rest_of_the_batch() -> None:
    torch.manual_seed(0)
    encoder = CameraEncoder(image_spec(24, 24), replace(SMALL, crop=1.0)).train()
    many = images(5, 24, 24, 3)
    torch.testing.assert_close(encoder(many)[2:3], encoder(many[2:3]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("history", [1, 3])
def test_the_encoder_joins_states_and_cameras(history: int) -> None:
    spec = replace(SOURCE, cameras=CAMERAS, history=history)
    encoder = ObservationEncoder(spec, SMALL)
    batch = batch_for(spec, batch=2, history=history)
    features = encoder(batch, draws=draws())
    states = spec.state.size + 3
    assert encoder.step_features == states + 2 * 6
    assert encoder.out_features == history * encoder.step_features
    assert features.shape == (2, history, encoder.step_features)
    torch.testing.assert_close(features[..., : spec.state.size], batch[STATE])
    torch.testing.assert_close(features[..., spec.state.size : states], batch[ENVIRONMENT_STATE])
    features[..., states:].square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_an_observation_is_encoded_the_same_wherever_it_stands_in_the_window() -> None:
    spec = replace(SOURCE, cameras=CAMERAS, history=2)
    encoder = ObservationEncoder(spec, SMALL)
    batch = batch_for(spec, batch=2, history=2)
    turned = {key: value.flip(1) for key, value in batch.items()}
    torch.testing.assert_close(encoder(turned), encoder(batch).flip(1), atol=1e-5, rtol=1e-5)


def test_crops_vary_in_training_only() -> None:
    spec = replace(SOURCE, cameras=CAMERAS)
    encoder = ObservationEncoder(spec, SMALL)
    batch = batch_for(spec, batch=2, history=1)
    assert torch.equal(encoder(batch), encoder(batch))
    assert torch.equal(encoder(batch, draws=draws(1)), encoder(batch, draws=draws(1)))
    assert not torch.equal(encoder(batch, draws=draws(1)), encoder(batch, draws=draws(2)))


def test_states_alone_need_no_network() -> None:
    encoder = ObservationEncoder(replace(SOURCE, history=2), SMALL)
    assert not list(encoder.parameters())
    assert encoder.step_features == SOURCE.state.size + 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop": 0.0}, r"crop: out of range; expected \(0, 1\]"),
        ({"crop": 1.5}, "crop"),
        ({"vision_width": 0}, "vision_width"),
        ({"keypoints": 0}, "keypoints"),
        ({"crop": 0.5}, "more than 16 pixels.*got 12 x 16"),
    ],
)
def test_what_does_not_suit_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ObservationEncoder(replace(SOURCE, cameras=CAMERAS), replace(SMALL, **change))


def test_it_learns_to_see() -> None:
    """Where a bright square is, from pixels."""
    torch.manual_seed(0)
    encoder = CameraEncoder(image_spec(32, 32), VisionConfig(crop=1.0, vision_width=8, keypoints=4))
    head = torch.nn.Linear(encoder.out_features, 2)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=3e-3)
    rng = np.random.default_rng(0)

    def scene(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        corners = rng.integers(0, 26, (count, 2))
        frames = np.zeros((count, 32, 32, 3), np.uint8)
        for frame, (row, column) in zip(frames, corners, strict=True):
            frame[row : row + 6, column : column + 6] = 255
        return torch.from_numpy(frames), torch.from_numpy(corners).float() / 13.0 - 1.0

    for _ in range(120):
        frames, places = scene(32)
        loss = (head(encoder(frames)) - places).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    frames, places = scene(64)
    with torch.inference_mode():
        error = (head(encoder(frames)) - places).abs().mean()
    assert error < 0.1
