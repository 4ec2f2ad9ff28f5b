"""Windows against a plain loop over steps; splits and orders."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import WindowDataset, epoch_order, split_episodes

type Build = Callable[[Sequence[int]], EpisodeStore]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    history=st.integers(1, 4),
    past=st.integers(0, 3),
    horizon=st.integers(1, 5),
    lookahead=st.integers(0, 3),
    stride=st.integers(1, 3),
)
def test_windows_are_what_a_loop_gives(
    counting_store: Build,
    lengths: list[int],
    history: int,
    past: int,
    horizon: int,
    lookahead: int,
    stride: int,
) -> None:
    windows = WindowDataset(
        counting_store(lengths),
        history=history,
        past=past,
        horizon=horizon,
        lookahead=lookahead,
        stride=stride,
        cameras=("wrist",),
        use_environment_state=True,
    )
    assert len(windows) == sum(lengths)
    batch = windows.batch(np.arange(len(windows)))
    row = 0
    for episode, length in enumerate(lengths):
        for t in range(length):
            observed = [t + lookahead + k * stride for k in range(1 - history, 1)]
            acted = [t + lookahead + k * (stride if k < 0 else 1) for k in range(-past, horizon)]
            clipped = np.clip(observed, 0, length - 1)
            expected = [[episode, k] for k in clipped]
            np.testing.assert_array_equal(batch["observation.state"][row], expected)
            np.testing.assert_array_equal(
                batch["observation.environment_state"][row, :, 0], clipped + 1000
            )
            np.testing.assert_array_equal(
                batch["observation.images.wrist"][row, :, 1, 0, 2], 10 * episode + clipped
            )
            actions = [[100 + episode, 100 + k] for k in np.clip(acted, 0, length - 1)]
            np.testing.assert_array_equal(batch["action"][row], actions)
            assert batch["action_is_pad"][row].tolist() == [not 0 <= k < length for k in acted]
            assert batch["observation_is_pad"][row].tolist() == [
                not 0 <= k < length for k in observed
            ]
            assert batch["task"][row] == f"task {episode}"
            row += 1


def test_only_the_chosen_episodes_and_features(counting_store: Build) -> None:
    windows = WindowDataset(
        counting_store([3, 4, 5]),
        history=1,
        past=0,
        horizon=1,
        use_environment_state=False,
        episodes=(0, 2),
    )
    batch = windows.batch(np.arange(len(windows)))
    assert batch["observation.state"][:, 0, 0].tolist() == [0] * 3 + [2] * 5
    assert set(batch) == {
        "observation.state",
        "action",
        "action_is_pad",
        "observation_is_pad",
        "episode",
        "task",
    }


def test_batches_do_not_share_memory_with_the_dataset(counting_store: Build) -> None:
    store = counting_store([4])
    windows = WindowDataset(store, history=1, past=0, horizon=1, use_environment_state=False)
    windows.batch(np.arange(4))["observation.state"][:] = -1
    assert (store.state >= 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"history": 0}, "T is too small"),
        ({"past": -1}, "P is too small"),
        ({"horizon": 0}, "H is too small"),
        ({"episodes": (2,)}, r"no such episode; expected 0 \.\. 1; got 2"),
        ({"episodes": ()}, "no episode to take windows from"),
    ],
)
def test_bad_settings(counting_store: Build, changes: dict[str, int], message: str) -> None:
    options = {"history": 1, "past": 0, "horizon": 1, "use_environment_state": False, **changes}
    with pytest.raises(ConfigError, match=message):
        WindowDataset(counting_store([3, 3]), **options)  # pyright: ignore


def test_a_camera_that_was_not_loaded(counting_store: Build) -> None:
    with pytest.raises(UnknownNameError, match="unknown loaded camera 'chest'; valid: wrist"):
        WindowDataset(
            counting_store([3]),
            history=1,
            past=0,
            horizon=1,
            cameras=("chest",),
            use_environment_state=False,
        )


@pytest.mark.parametrize(("fraction", "kept_out"), [(0.0, 0), (0.01, 1), (0.25, 5), (0.99, 19)])
def test_split(counting_store: Build, fraction: float, kept_out: int) -> None:
    store = counting_store([1] * 20)
    training, validation = split_episodes(store, fraction, 3)
    assert len(validation) == kept_out
    assert sorted(training + validation) == list(range(20))
    assert (training, validation) == split_episodes(store, fraction, 3)
    if 1 < kept_out < 19:
        assert validation != split_episodes(store, fraction, 4)[1]


def test_split_never_leaves_nothing_to_learn_from(counting_store: Build) -> None:
    assert split_episodes(counting_store([5]), 0.5, 0) == ((0,), ())
    with pytest.raises(ConfigError, match="validation_fraction"):
        split_episodes(counting_store([5]), 1.0, 0)


def test_epoch_order_depends_on_seed_and_epoch_alone() -> None:
    order = epoch_order(100, 0, 0)
    assert sorted(order) == list(range(100))
    np.testing.assert_array_equal(order, epoch_order(100, 0, 0))
    for other in (epoch_order(100, 1, 0), epoch_order(100, 0, 1)):
        assert (order != other).any()


@given(st.integers(1, 200), st.integers(0, 50))
def test_equal_weights_change_nothing(n: int, seed: int) -> None:
    np.testing.assert_array_equal(
        epoch_order(n, seed, 3, weights=np.ones(n)), epoch_order(n, seed, 3)
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 100, allow_subnormal=False), min_size=2, max_size=50).filter(any),
    st.integers(0, 50),
)
def test_every_window_is_drawn_as_often_as_its_weight_says(weights: list[float], seed: int) -> None:
    """Within one, in every epoch."""
    w, n = np.array(weights), len(weights)
    counts = np.bincount(epoch_order(n, seed, 0, weights=w), minlength=n)
    assert counts.sum() == n
    assert (np.abs(counts - n * w / w.sum()) < 1 + 1e-6).all()


def test_weights_are_right_on_average() -> None:
    w = np.array([0.0, 1.0, 2.0, 0.3, 5.0])
    counts = sum(
        np.bincount(epoch_order(5, 1, epoch, weights=w), minlength=5) for epoch in range(2000)
    )
    np.testing.assert_allclose(counts / 2000, 5 * w / w.sum(), atol=0.05)


def test_windows_have_the_weight_of_their_episode(counting_store: Build) -> None:
    options = {"history": 1, "past": 0, "horizon": 1, "use_environment_state": False}
    windows = WindowDataset(
        counting_store([2, 3, 1]), episodes=(2, 0), episode_weights=(5.0, 0.5), **options
    )  # pyright: ignore
    assert windows.weights is not None
    assert windows.weights.tolist() == [5.0, 0.5, 0.5]
    for wrong, message in (
        ((1.0,), "wrong number of weights; expected 2; got 1"),
        ((1.0, -1.0), "negative or not finite"),
        ((np.nan, 1.0), "negative or not finite"),
        ((0.0, 0.0), "every weight is zero"),
    ):
        with pytest.raises(ConfigError, match=message):
            WindowDataset(counting_store([2, 3]), episode_weights=wrong, **options)  # pyright: ignore
