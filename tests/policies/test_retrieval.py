"""Neighbours, their weights, and demonstrations that are followed."""

import pytest
import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, EPISODE, STATE
from robot_policy.core.robot import load_robot
from robot_policy.policies.retrieval import Retrieval, RetrievalConfig

SOURCE = load_robot("panda_twin").spec()
SIZE = SOURCE.action.size
STEPS = 10


def build(**changes) -> Retrieval:
    return Retrieval.build(RetrievalConfig(horizon=2, **changes), SOURCE)


def lines(module: Retrieval, *, starts=(0.0, 0.45)) -> dict[str, Tensor]:
    """Episodes along parallel lines; the action names episode and step."""
    history, rows = module.spec.history, len(starts) * STEPS
    state = torch.zeros(rows, history, SOURCE.state.size)
    action = torch.zeros(rows, 2, SIZE)
    for episode, start in enumerate(starts):
        for step in range(STEPS):
            row = episode * STEPS + step
            state[row, :, 0] = 0.2 * step
            state[row, :, 1] = start
            action[row, :, 0], action[row, :, 1] = float(episode), 0.01 * step
    return {
        STATE: state,
        ACTION: action,
        EPISODE: torch.arange(len(starts)).repeat_interleave(STEPS),
        "action_is_pad": torch.zeros(rows, 2, dtype=torch.bool),
    }


def seen(*places: tuple[float, float]) -> dict[str, Tensor]:
    state = torch.zeros(1, len(places), SOURCE.state.size)
    for i, (x, y) in enumerate(places):
        state[0, i, 0], state[0, i, 1] = x, y
    return {STATE: state}


def test_one_neighbour_is_the_nearest() -> None:
    module = build(neighbours=1)
    module.memorise(lines(module), seed=0)
    chunk = module.decode(seen((0.61, 0.4)), torch.zeros(1, 2))
    assert chunk.shape == (1, 2, 2, SIZE)
    torch.testing.assert_close(chunk[0, 1, 0, :2], torch.tensor([1.0, 0.03]))


def test_weights_fall_with_the_distance() -> None:
    module = build(neighbours=2)
    module.memorise(lines(module), seed=0)
    module.log_bandwidth.data.fill_(-2.0)
    with torch.no_grad():
        near = module.decode(seen((0.6, 0.1)), torch.zeros(1, 1))[0, 0, 0, 0]
        between = module.decode(seen((0.6, 0.225)), torch.zeros(1, 1))[0, 0, 0, 0]
    assert 0.0 <= near < between < 0.51
    assert float(between) == pytest.approx(0.5, abs=1e-3)


def test_the_bandwidth_is_learned_from_other_episodes() -> None:
    module = build(neighbours=3)
    batch = lines(module, starts=(0.0, 0.2, 0.4))
    module.memorise(batch, seed=0)
    loss = module.loss(batch, draws=None)  # pyright: ignore[reportArgumentType]
    loss.backward()
    assert loss > 0.1, "no window finds itself"
    assert module.log_bandwidth.grad is not None
    assert module.log_bandwidth.grad.abs() > 0


def test_a_demonstration_is_followed_until_it_diverges() -> None:
    module = build(follow=True, history=3)
    module.memorise(lines(module), seed=0)
    module.divergence.fill_(0.3 / SOURCE.state.size**0.5)
    # Begins on the first line, and drifts to where the second is a little nearer: still followed.
    drifting = seen((0.2, 0.0), (0.4, 0.12), (0.6, 0.24))
    assert module.followed(module.encoder(drifting)).tolist() == [3]
    # So far away that the first line is left.
    away = seen((0.2, 0.0), (0.4, 0.12), (0.6, 0.44))
    assert module.followed(module.encoder(away)).tolist() == [STEPS + 3]
    # Nothing follows the end of an episode.
    end = seen((1.8, 0.0), (1.8, 0.0), (1.8, 0.0))
    assert module.followed(module.encoder(end)).tolist() == [STEPS - 1]
    # At the beginning of an episode no time has passed yet.
    start = module.encoder(seen((0.0, 0.0), (0.0, 0.0), (0.0, 0.0)))
    assert module.followed(start, torch.tensor([[True, True, False]])).tolist() == [0]


def test_it_loads_what_it_memorised() -> None:
    module, other = build(), build()
    module.memorise(lines(module), seed=0)
    other.load_state_dict(module.state_dict())
    batch = seen((0.5, 0.2))
    torch.testing.assert_close(
        other.decode(batch, torch.zeros(1, 1)), module.decode(batch, torch.zeros(1, 1))
    )


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="follow and history"):
        RetrievalConfig(follow=True)
    with pytest.raises(ConfigError, match="neighbours"):
        RetrievalConfig(neighbours=0)
    module = build(most_megabytes=1e-4)
    with pytest.raises(ConfigError, match="20 memories would take"):
        module.memorise(lines(module), seed=0)
