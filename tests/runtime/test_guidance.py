"""Steering: how a choice follows from judgements, and that doubt leaves the policy alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, SpecError, UnknownNameError
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators, Policy, per_row
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.candidate_spread import candidate_spread
from robot_policy.runtime.guidance.candidates import PRIMITIVES, perturbed, primitive_bank
from robot_policy.runtime.guidance.choice import ALIKE, NOISE, SUPPORT, choose_one
from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.guidance.fit import check_fit, check_statistics
from robot_policy.runtime.guidance.judges import CombinedScorer
from robot_policy.runtime.guidance.registry import STRATEGIES
from robot_policy.runtime.guidance.steered_policy import SteeredPolicy
from robot_policy.runtime.guidance.weighted_mean import mean_chunk
from robot_policy.runtime.steering import choose

SPEC = replace(load_robot("panda_twin").spec(), history=2, horizon=12)
GAINS = arrays(np.float64, st.integers(2, 9), elements=st.floats(-5, 5))


class Fan:
    """Draws chunks that differ; knows nothing of steering."""

    spec = SPEC

    def reset(self) -> None:
        """Nothing."""

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        rows = per_row(generator, windows.batch_size)
        shape = (num_samples, SPEC.horizon, SPEC.action.size)
        chunks = np.stack([row.uniform(-0.01, 0.01, shape) for row in rows])
        return Candidates(chunks.astype(np.float32))


class Likes:
    """Judges by the sum of the first entry over what it is shown."""

    def __init__(self, sign: float = 1.0) -> None:
        self.sign = sign
        self.lengths: set[int] = set()

    def score(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        del windows
        self.lengths.add(candidates.actions.shape[2])
        return (self.sign * candidates.actions[..., 0].sum(-1)).astype(np.float32)


class Says:
    """Says the same numbers of the candidates, head by head."""

    def __init__(self, heads: Any) -> None:
        self.heads = np.asarray(heads, dtype=np.float32)

    def score(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        return self.judge(windows, candidates).mean(0)

    def judge(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        count = candidates.actions.shape[1]
        return np.repeat(self.heads[:, None, :count], windows.batch_size, axis=1)


def windows(batch: int = 1) -> Windows:
    return Windows(
        state=np.zeros((batch, 2, SPEC.state.size), np.float32),
        past=np.zeros((batch, 0, SPEC.action.size), np.float32),
        valid=np.ones((batch, 2), bool),
        past_valid=np.ones((batch, 0), bool),
        instructions=("lift",) * batch,
    )


def pick(heads: Any, support: Any = None, **options: Any):
    config = SteeringConfig(**options)
    return choose_one(
        np.asarray(heads, dtype=np.float64),
        None if support is None else np.asarray(support, dtype=np.float64),
        strategy=STRATEGIES[config.strategy](config),
        config=config,
        rng=np.random.default_rng(0),
    )


def steer(scorer: Any, **options: Any) -> SteeredPolicy:
    support = options.pop("support", None)
    return SteeredPolicy(
        Fan(), scorer, config=SteeringConfig(**options), scored_steps=8, support=support
    )


@pytest.mark.parametrize("name", list(STRATEGIES))
@settings(deadline=None)
@given(gains=GAINS, seed=st.integers(0, 99))
def test_weights_are_shares_and_nothing_forbidden_gets_one(
    name: str, gains: NDArray[np.float64], seed: int
) -> None:
    gains = np.concatenate([[0.0], gains, [-np.inf]])
    strategy = STRATEGIES[name](SteeringConfig(strategy=name))
    weights = strategy.weights(gains, np.random.default_rng(seed))
    assert weights.shape == gains.shape
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1.0)
    assert weights[-1] == 0


@settings(deadline=None)
@given(gains=GAINS)
def test_without_temperature_a_softmax_is_argmax(gains: NDArray[np.float64]) -> None:
    strategy = STRATEGIES["softmax"](SteeringConfig(temperature=0.0))
    weights = strategy.weights(gains, np.random.default_rng(0))
    assert gains[np.argmax(weights)] == gains.max()


@settings(deadline=None)
@given(gains=GAINS, scale=st.floats(0.1, 10), offset=st.floats(-3, 3))
def test_spread_strategies_do_not_depend_on_the_scale(
    gains: NDArray[np.float64], scale: float, offset: float
) -> None:
    strategy = STRATEGIES["weighted_mean"](SteeringConfig())
    rng = np.random.default_rng(0)
    if gains.std() < 1e-3:
        return
    np.testing.assert_allclose(
        strategy.weights(gains, rng), strategy.weights(scale * gains + offset, rng), atol=1e-6
    )


def test_the_best_is_taken_where_the_heads_agree() -> None:
    choice = pick([[0.0, 1.0, 3.0], [10.0, 11.0, 13.0]])
    assert np.argmax(choice.weights) == 2
    assert (choice.abstained, choice.fault) == ("", "")


def test_the_first_is_kept_where_the_heads_disagree() -> None:
    choice = pick([[0.0, 3.0, 1.0], [0.0, -2.0, -1.0]])
    assert np.argmax(choice.weights) == 0
    assert choice.abstained == NOISE
    believed = pick([[0.0, 3.0, 1.0], [0.0, -2.0, -1.0]], caution=0.0)
    assert np.argmax(believed.weights) == 1


def test_a_small_gain_is_not_worth_it() -> None:
    heads = [[0.0, 0.1, -3.0]]
    assert np.argmax(pick(heads).weights) == 1
    assert pick(heads, least_gain=0.5).abstained == NOISE


def test_what_the_data_do_not_hold_is_not_taken() -> None:
    heads = [[0.0, 5.0, 1.0]]
    assert np.argmax(pick(heads, [1.0, -0.1, 0.2]).weights) == 2
    assert pick(heads, [-9.0, -0.1, -0.2]).abstained == SUPPORT


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_judgements_that_are_not_finite_are_a_fault(bad: float) -> None:
    choice = pick([[0.0, bad, 2.0]])
    assert np.argmax(choice.weights) == 0
    assert choice.fault == "not finite"
    assert pick([[0.0, 1.0]], [0.0, bad]).fault == "not finite"


def test_judgements_that_are_all_alike_are_a_fault() -> None:
    assert pick([[2.0, 2.0, 2.0]]).fault == "constant"
    assert pick([[2.0]]).fault == ""


@settings(deadline=None)
@given(
    heads=arrays(np.float64, (3, 5), elements=st.floats(-2, 2)),
    offset=arrays(np.float64, (3, 1), elements=st.floats(-50, 50)),
)
def test_an_error_of_a_head_about_the_situation_changes_nothing(
    heads: NDArray[np.float64], offset: NDArray[np.float64]
) -> None:
    heads, offset = np.round(heads, 2), np.round(offset)
    a, b = pick(heads), pick(heads + offset)
    assert a.abstained == b.abstained
    assert np.argmax(a.weights) == np.argmax(b.weights) or a.fault == b.fault == "constant"


def test_the_mean_chunk_votes_on_the_gripper() -> None:
    chunks = np.zeros((3, 1, 2), np.float32)
    chunks[:, 0] = [[0.0, 0.0], [1.0, 1.0], [2.0, 0.9]]
    mean = mean_chunk(chunks, np.array([0.4, 0.3, 0.3]))
    np.testing.assert_allclose(mean[0], [0.9, 0.95], atol=1e-6)


def test_it_is_a_policy_and_takes_what_is_judged_best() -> None:
    policy = steer(Likes())
    assert isinstance(policy, Policy)
    rows = [np.random.default_rng(i) for i in (1, 2)]
    answer = policy.sample(windows(2), generator=rows)
    drawn = Fan().sample(
        windows(2), num_samples=16, generator=[np.random.default_rng(i) for i in (1, 2)]
    )
    best = drawn.actions[..., :8, 0].sum(-1).argmax(1)
    np.testing.assert_array_equal(answer.actions[:, 0], drawn.actions[np.arange(2), best])
    assert [record.chosen for record in answer.steering] == best.tolist()
    assert all(r.value is not None and r.value >= (r.first or 0.0) for r in answer.steering)


def test_what_is_judged_is_what_is_executed() -> None:
    scorer = Likes()
    steer(scorer).sample(windows(), generator=np.random.default_rng(0))
    assert scorer.lengths == {8}


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "first"},
        {"strategy": "first", "gaussian": 0.5},
        {"strategy": "argmax", "candidates": 1},
    ],
)
def test_left_alone_it_answers_what_the_policy_would_have(options: dict[str, Any]) -> None:
    alone = Fan().sample(windows(), generator=[np.random.default_rng(5)])
    answer = steer(Likes(), **options).sample(windows(), generator=[np.random.default_rng(5)])
    np.testing.assert_array_equal(answer.actions, alone.actions)


@pytest.mark.parametrize("heads", [[[1.0] * 16], [[np.nan] * 16]])
def test_a_fault_is_counted_and_answered_by_the_policy_alone(heads: Any) -> None:
    policy = steer(Says(heads))
    answer = policy.sample(windows(), generator=[np.random.default_rng(5)])
    alone = Fan().sample(windows(), generator=[np.random.default_rng(5)])
    np.testing.assert_array_equal(answer.actions, alone.actions)
    assert sum(n for name, n in policy.counts.items() if name.startswith("fault")) == 1
    assert answer.steering[0].fault
    assert answer.steering[0].value is None


def test_how_it_chooses_may_change_between_two_plans() -> None:
    policy = steer(Likes())
    alone = Fan().sample(windows(), generator=[np.random.default_rng(5)])
    policy.adjust(SteeringConfig(strategy="first", candidates=3))
    answer = policy.sample(windows(), generator=[np.random.default_rng(5)])
    np.testing.assert_array_equal(answer.actions, alone.actions)
    with pytest.raises(UnknownNameError, match="strategy"):
        policy.adjust(SteeringConfig(strategy="best"))
    assert policy.config.strategy == "first", "what is refused changes nothing"


def test_the_spread_of_candidates_is_in_halves_of_the_command_range() -> None:
    low, high = np.array(SPEC.action.low), np.array(SPEC.action.high)
    ends = np.stack([low, high])[:, None].astype(np.float32)
    assert candidate_spread(ends, SPEC.action) == pytest.approx(1.0)
    assert candidate_spread(ends[[0, 0]], SPEC.action) == 0.0
    assert candidate_spread(ends[:1], SPEC.action) is None
    record = steer(Likes()).sample(windows(), generator=[np.random.default_rng(5)]).steering[0]
    assert record.candidate_spread == pytest.approx(0.082, rel=0.1)


def test_candidates_that_are_all_alike_are_no_fault_of_the_judge() -> None:
    """A policy at temperature 0 leaves nothing to choose."""

    class Still(Fan):
        def sample(
            self, windows: Windows, *, num_samples: int = 1, generator: Generators
        ) -> Candidates:
            del generator
            shape = (windows.batch_size, num_samples, SPEC.horizon, SPEC.action.size)
            return Candidates(np.full(shape, 0.01, np.float32))

    policy = SteeredPolicy(Still(), Likes(), config=SteeringConfig(), scored_steps=8)
    record = policy.sample(windows(), generator=np.random.default_rng(0)).steering[0]
    assert (record.abstained, record.fault) == (ALIKE, "")


def test_a_mean_that_is_judged_worse_is_not_executed() -> None:
    class Edges(Likes):
        """The farther from the middle the better, so that a mean is always worse."""

        def score(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
            return np.abs(super().score(windows, candidates))

    answer = steer(Edges(), strategy="weighted_mean", temperature=5.0).sample(
        windows(), generator=np.random.default_rng(0)
    )
    assert answer.steering[0].chosen >= 0
    smooth = steer(Likes(), strategy="weighted_mean", temperature=0.1, caution=0.0)
    records = smooth.sample(windows(), generator=np.random.default_rng(0)).steering
    assert np.isfinite(records[0].value or 0.0)


def test_scorers_of_other_scales_count_alike() -> None:
    both = CombinedScorer([Likes(1.0), Likes(-1000.0)])
    drawn = Fan().sample(windows(), num_samples=6, generator=np.random.default_rng(0))
    np.testing.assert_allclose(both.score(windows(), drawn), 0.0, atol=1e-5)
    assert both.judge(windows(), drawn).shape == (2, 1, 6)
    mostly = CombinedScorer([Likes(1.0), Likes(-1000.0)], weights=[3.0, 1.0])
    ranked = mostly.score(windows(), drawn).argmax()
    assert ranked == Likes().score(windows(), drawn).argmax()


def test_moved_samples_stay_near_and_do_not_vote_by_halves() -> None:
    rng = np.random.default_rng(0)
    chunks = rng.normal(size=(5, 8, 7)).astype(np.float32)
    chunks[:, :, -1] = np.array([0, 1, 1, 1, 0])[:, None]
    moved = perturbed(chunks, count=4, scale=0.0, rng=rng)
    assert moved.shape == (4, 8, 7)
    assert (moved[:, :, -1] == 1.0).all()
    distance = np.abs(moved[:, None, :, :-1] - chunks[None, :, :, :-1]).max((2, 3)).min(1)
    np.testing.assert_allclose(distance, 0.0, atol=1e-6)


def test_primitives_are_straight_moves_within_the_limits() -> None:
    bank = primitive_bank(np.zeros((8, 7), np.float32), SPEC)
    assert len(bank) == PRIMITIVES
    assert (bank >= np.array(SPEC.action.low, np.float32) - 1e-6).all()
    assert (bank <= np.array(SPEC.action.high, np.float32) + 1e-6).all()
    assert all((np.abs(move[:, :3]).max(0) > 0).sum() <= 1 for move in bank)
    policy = steer(Likes(), primitives=True, candidates=12)
    assert policy.sample(windows(), generator=np.random.default_rng(0)).actions.shape[1] == 1
    with pytest.raises(ConfigError, match="> 9; got 9"):
        steer(Likes(), primitives=True, candidates=9)


def test_a_policy_without_a_critic_can_only_be_a_control() -> None:
    with pytest.raises(ConfigError, match="needs a critic"):
        steer(None)
    random = steer(None, strategy="random")
    chosen = {
        random.sample(windows(), generator=[np.random.default_rng(i)]).steering[0].chosen
        for i in range(30)
    }
    assert len(chosen) > 5


def test_more_than_one_answer_is_refused() -> None:
    with pytest.raises(SpecError, match="one chunk"):
        steer(Likes()).sample(windows(), num_samples=2, generator=np.random.default_rng(0))


def test_choose_falls_back_to_the_first_sample() -> None:
    drawn = Fan().sample(windows(), num_samples=3, generator=np.random.default_rng(0))
    chosen = choose(windows(), drawn, Says([[np.nan, np.nan, np.nan]]))
    np.testing.assert_array_equal(chosen[0], drawn.actions[0, 0])


class Loaded(Likes):
    """Judges eight actions of an instruction it knows."""

    def __init__(self, spec: PolicySpec, *, variable_length: bool = False) -> None:
        super().__init__()
        self.spec = replace(spec, horizon=8)
        self.name = "monte_carlo"
        self.instructions = ("lift",)
        self.variable_length = variable_length


def test_a_pair_that_fits_is_accepted() -> None:
    check_fit(Loaded(SPEC), SPEC, execute_steps=8, instruction="lift")
    check_fit(Loaded(SPEC, variable_length=True), SPEC, execute_steps=3)


@pytest.mark.parametrize(
    ("critic", "execute_steps", "instruction", "message"),
    [
        (Loaded(SPEC), 4, "lift", r"critic c for policy p: .*another number of actions"),
        (Loaded(SPEC), 8, "fly", r"critic c for policy p: .*instruction.*'fly'.*valid: 'lift'"),
        (Loaded(replace(SPEC, history=3)), 8, None, r"looks further back"),
        (Loaded(replace(SPEC, robot="ur5e")), 8, None, r"another robot; expected ur5e"),
        (Loaded(replace(SPEC, dt_s=0.1)), 8, None, r"another rate"),
    ],
)
def test_a_pair_that_does_not_fit_is_refused_by_name(
    critic: Loaded, execute_steps: int, instruction: str | None, message: str
) -> None:
    with pytest.raises((ConfigError, SpecError), match=message):
        check_fit(
            critic,
            SPEC,
            execute_steps=execute_steps,
            instruction=instruction,
            critic_name="c",
            policy_name="p",
        )


def test_a_critic_with_another_scale_of_actions_is_refused() -> None:
    """The defect for which V-GPS could not be reproduced: raw bounds of -5.5 to 22."""
    policy = {"action": {"min": np.array([-0.05, -0.25]), "max": np.array([0.05, 0.25])}}
    critic = {"action": {"min": np.array([-5.5, -0.25]), "max": np.array([22.0, 0.25])}}
    check_statistics(policy, policy, where="c for p")
    with pytest.raises(ConfigError, match=r"c for p, action: .*range of entry 0"):
        check_statistics(critic, policy, where="c for p")
