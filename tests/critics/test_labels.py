"""Rewards and returns out of success flags and recorded rewards."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.critics.labels import LabelConfig, Labels, label

ZERO = np.zeros(10, np.float32)


def labels_of(config: LabelConfig, *, recorded: np.ndarray = ZERO) -> Labels:
    """An episode of six steps that succeeds and one of four that does not."""
    successes = [Success.YES, Success.NO]
    return label(config, lengths=[6, 4], successes=successes, recorded=recorded)


def test_a_success_is_worth_something_and_a_failure_nothing() -> None:
    returns = labels_of(LabelConfig(last_steps=2, gamma=0.5)).returns
    np.testing.assert_allclose(returns, [0.09375, 0.1875, 0.375, 0.75, 1.5, 1.0, 0, 0, 0, 0])


def test_cost_to_go_counts_the_steps_and_never_ends_after_a_failure() -> None:
    returns = labels_of(LabelConfig(reward="cost_to_go", last_steps=1, gamma=0.5)).returns
    np.testing.assert_allclose(returns[5], 0.0)
    np.testing.assert_allclose(returns[3], -1.5)
    np.testing.assert_allclose(returns[6:], -2.0)


def test_both_rewards_rank_steps_alike() -> None:
    """1 - (1 - gamma) cost is the discounted success, so no critic can tell them apart."""
    a = labels_of(LabelConfig(last_steps=1, gamma=0.9)).returns
    b = labels_of(LabelConfig(reward="cost_to_go", last_steps=1, gamma=0.9)).returns
    np.testing.assert_allclose(a, 1.0 + (1.0 - 0.9) * b, atol=1e-6)


def test_recorded_rewards_are_taken_as_they_are() -> None:
    recorded = np.arange(10, dtype=np.float32)
    returns = labels_of(LabelConfig(reward="recorded", gamma=0.5), recorded=recorded).returns
    np.testing.assert_allclose(returns[8:], [8 + 0.5 * 9, 9])
    np.testing.assert_allclose(returns[5], 5.0)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(1, 8),
    st.sampled_from(["success", "cost_to_go"]),
)
def test_an_n_step_target_with_the_true_value_is_the_return(
    lengths: list[int], n: int, reward: str
) -> None:
    successes = [Success.YES if i % 2 == 0 else Success.NO for i in range(len(lengths))]
    total = sum(lengths)
    labels = label(
        LabelConfig(reward=reward, gamma=0.9),  # pyright: ignore[reportArgumentType]
        lengths=lengths,
        successes=successes,
        recorded=np.zeros(total, np.float32),
    )
    steps = np.arange(total)
    counts = np.full(total, n)
    rewards, discounts = labels.n_step(steps, counts)
    later = np.minimum(steps + n, total - 1)
    np.testing.assert_allclose(
        rewards + discounts * labels.returns[later], labels.returns, atol=1e-4
    )
    crosses = steps + n >= labels.ends
    assert (discounts[crosses] == 0).all()
    np.testing.assert_allclose(discounts[~crosses], 0.9**n, rtol=1e-6)


def test_missing_success_flags_are_named_with_what_to_do() -> None:
    with pytest.raises(DataError, match=r"my/data: 1 of 2 episodes have no success flag.*--record"):
        label(
            LabelConfig(),
            lengths=[2, 2],
            successes=[Success.YES, Success.UNKNOWN],
            recorded=np.zeros(4, np.float32),
            where="my/data",
        )


def test_data_without_any_success_are_refused() -> None:
    with pytest.raises(DataError, match="no episode succeeds"):
        label(LabelConfig(), lengths=[2], successes=[Success.NO], recorded=ZERO[:2])


def test_missing_rewards_are_named_with_what_to_do() -> None:
    with pytest.raises(DataError, match=r"no reward in any step.*eval --record"):
        labels_of(LabelConfig(reward="recorded"))


def test_what_needs_no_labels_accepts_any_data() -> None:
    label(LabelConfig(), lengths=[2], successes=[Success.UNKNOWN], recorded=ZERO[:2], needed=False)


@pytest.mark.parametrize("options", [{"gamma": 1.0}, {"gamma": 0.0}, {"last_steps": 0}])
def test_settings_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="labels"):
        LabelConfig(**options)  # pyright: ignore[reportArgumentType]


def test_the_range_holds_all_returns_and_is_never_empty() -> None:
    labels = labels_of(LabelConfig())
    low, high = labels.value_range
    assert low < labels.returns.min()
    assert labels.returns.max() < high
    flat = Labels(np.zeros(3, np.float32), np.full(3, 3), 0.9)
    assert flat.value_range[0] < flat.value_range[1]
