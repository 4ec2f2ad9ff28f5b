"""What a running policy remembers is what it saw in training."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robot_policy.core.observation import ACTION, OBSERVATION_IS_PAD, STATE, Observation
from robot_policy.core.robot import load_robot
from robot_policy.data.windows import WindowDataset
from robot_policy.runtime.history import History

SOURCE = load_robot("panda_twin").spec()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    length=st.integers(1, 12),
    history=st.integers(1, 4),
    past=st.integers(0, 4),
    stride=st.integers(1, 4),
)
def test_windows_are_those_of_the_dataset(
    counting_store, length: int, history: int, past: int, stride: int
) -> None:
    store = counting_store([length])
    spec = replace(store.spec, history=history, past=past, history_stride=stride, horizon=1)
    spec = replace(spec, environment_state=None, cameras={})
    dataset = WindowDataset(
        store, history=history, past=past, horizon=1, stride=stride, use_environment_state=False
    )
    batch = dataset.batch(np.arange(length))
    memory = History(spec)
    for t in range(length):
        memory.observe(Observation(t, store.state[t]))
        windows = memory.windows()
        np.testing.assert_array_equal(windows.state[0], batch[STATE][t])
        np.testing.assert_array_equal(windows.valid[0], ~batch[OBSERVATION_IS_PAD][t])
        known = windows.past_valid[0]
        np.testing.assert_array_equal(known, ~batch["action_is_pad"][t, :past])
        np.testing.assert_array_equal(windows.past[0][known], batch[ACTION][t, :past][known])
        assert not windows.past[0][~known].any()
        memory.executed(store.actions[t])


def test_after_a_reset_nothing_is_left() -> None:
    memory = History(replace(SOURCE, history=3, past=2, history_stride=2))
    for t in range(9):
        memory.observe(Observation(t, np.full(SOURCE.state.size, t, np.float32)))
        memory.executed(np.full(7, 0.01, np.float32))
    memory.reset()
    memory.observe(Observation(9, np.full(SOURCE.state.size, 9, np.float32)))
    windows = memory.windows()
    assert windows.valid[0].tolist() == [False, False, True]
    assert not windows.past_valid.any()
    assert windows.state.min() == pytest.approx(9)
