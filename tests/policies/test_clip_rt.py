"""clip_rt: targets, choices, calibration, the cached sentences; and what both refuse."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import STATE
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import ActionSpace, image_spec
from robot_policy.nets.draws import Draws
from robot_policy.nets.language import INSTRUCTION
from robot_policy.policies.clip_rt import ClipRt, ClipRtConfig, calibrate, calibration_error
from robot_policy.policies.clip_rt_plus import ClipRtPlus, ClipRtPlusConfig
from robot_policy.policies.primitive_targets import PrimitiveTable
from robot_policy.policies.primitives import PrimitiveSet

ROBOT = load_robot("panda_twin")
SPEC = ROBOT.spec()
SET = PrimitiveSet.for_robot(ROBOT)
TABLE = PrimitiveTable(
    SET, horizon=4, response=(0.23, 0.13), low=SPEC.action.low, high=SPEC.action.high
)
SMALL = ClipRtConfig(width=32, heads=2, layers=1, embedding=16, vision_width=8)


def batch_of(
    texts: list[str], seed: int = 0, size: ClipRtConfig = SMALL
) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    state = rng.normal(size=(len(texts), 1, SPEC.state.size)).astype(np.float32)
    encoded = size.reader().encode(texts)
    return {STATE: torch.from_numpy(state), INSTRUCTION: torch.from_numpy(encoded)}


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 3))
def test_a_choice_becomes_a_chunk_that_means_the_same_choice(seed: int, count: int) -> None:
    """Of what the arm can do in one decision, nothing is lost in either direction."""
    rng = np.random.default_rng(seed)
    choice = torch.full((1, 1, 7), -1)
    for axis in rng.permutation(6)[:count]:
        level = 2 if axis < 3 else 1
        same = [p for p in SET if p.axis == axis and abs(p.amount) <= SET.amounts(axis)[level]]
        choice[0, 0, axis] = SET.index_of(same[int(rng.integers(len(same)))])
    choice[0, 0, 6] = TABLE.close if rng.random() < 0.5 else TABLE.open
    chunk = TABLE.chunks(choice)[:, 0]
    targets = TABLE.targets(chunk, torch.zeros(1, 4, dtype=torch.bool), composed=True)
    expected = {int(i) for i in choice.flatten() if i >= 0}
    assert set(targets[0].nonzero().flatten().tolist()) == expected


def test_commands_stay_within_the_limits_and_a_diagonal_stays_one() -> None:
    far = torch.full((1, 1, 7), -1)
    far[0, 0, 0] = SET.index_of(SET.named("forward_20cm"))
    far[0, 0, 1] = SET.index_of(SET.named("left_10cm"))
    far[0, 0, 6] = TABLE.open
    action = TABLE.chunks(far)[0, 0, 0]
    assert action[0] == pytest.approx(SPEC.action.high[0])
    assert action[1] == pytest.approx(SPEC.action.high[0] / 2)


def test_padding_means_done_and_does_not_count_as_motion() -> None:
    actions = torch.zeros(2, 4, 7)
    actions[:, :, 0] = 0.05
    is_pad = torch.tensor([[False, True, True, True], [False] * 4])
    targets = TABLE.targets(actions, is_pad, composed=True)
    assert targets[:, TABLE.done].tolist() == [1.0, 0.0]
    assert targets[0].nonzero().flatten().tolist() != targets[1].nonzero().flatten().tolist()


def test_one_axis_is_left_without_composition() -> None:
    actions = torch.zeros(1, 4, 7)
    actions[..., :3] = torch.tensor([0.01, 0.04, 0.02])
    none = torch.zeros(1, 4, dtype=torch.bool)
    composed = TABLE.targets(actions, none, composed=True)
    single = TABLE.targets(actions, none, composed=False)
    assert composed.sum() == 4.0  # three axes and the gripper
    assert single.sum() == 2.0


def test_candidates_begin_with_the_likeliest_choice_and_differ_in_one_place() -> None:
    logits = torch.randn(3, len(SET), generator=torch.Generator().manual_seed(0))
    choices = TABLE.best(logits, 20)
    assert choices.shape == (3, 20, 7)
    for row in range(3):
        first = choices[row, 0]
        for other in choices[row, 1:]:
            assert (other != first).sum() == 1
        assert len({tuple(c.tolist()) for c in choices[row]}) == 20

        def score(choice: torch.Tensor, row: int = row) -> float:
            return float(sum(logits[row, i] for i in choice if i >= 0))

        scores = [score(c) for c in choices[row]]
        assert scores == sorted(scores, reverse=True)


def test_both_sides_are_normalised_and_sentences_are_embedded_once() -> None:
    module = ClipRt.build(SMALL, SPEC).eval()
    batch = batch_of(["lift the red cube", "push it left"])
    assert module.context(batch).norm(dim=-1).detach() == pytest.approx(1.0, abs=1e-4)
    assert module.embedded().norm(dim=-1).detach() == pytest.approx(1.0, abs=1e-4)
    with torch.no_grad():
        before = module.logits(batch)
        kept = module._embedded
        module.logits(batch)
    assert module._embedded is kept
    assert module.train()._embedded is None
    assert before.shape == (2, len(SET))


def test_the_answer_depends_on_the_instruction() -> None:
    for module in (
        ClipRt.build(SMALL, SPEC).eval(),
        *(
            ClipRtPlus.build(
                ClipRtPlusConfig(width=32, heads=2, layers=1, decoder_layers=1, head=head), SPEC
            ).eval()
            for head in ("l1", "flow", "dit")
        ),
    ):
        batch = batch_of(["lift the red cube"])
        other = {**batch, INSTRUCTION: batch_of(["push the blue cylinder away"])[INSTRUCTION]}
        noise = torch.randn(1, 6, *module.noise_shape)
        with torch.no_grad():
            a, b = module.decode(batch, noise), module.decode(other, noise)
        assert not torch.equal(a, b)


@pytest.mark.parametrize("head", ["l1", "flow", "dit"])
def test_every_head_has_a_loss_and_chunks(head: str) -> None:
    config = ClipRtPlusConfig(width=32, heads=2, layers=1, decoder_layers=1, head=head)
    module = ClipRtPlus.build(config, SPEC)
    batch = batch_of(["lift it", "push it"])
    batch["action"] = torch.randn(2, 8, 7)
    batch["action_is_pad"] = torch.zeros(2, 8, dtype=torch.bool)
    module.loss(batch, draws=Draws(torch.Generator().manual_seed(0))).backward()
    assert all(p.grad is not None for p in module.parameters())
    chunks = module.eval().decode(batch, torch.randn(2, 3, *module.noise_shape))
    assert chunks.shape == (2, 3, 8, 7)
    assert torch.isfinite(chunks).all()


def test_classes_instead_of_language_have_vectors_of_their_own() -> None:
    module = ClipRt.build(replace(SMALL, candidates="classes"), SPEC)
    assert module.classes.shape == (len(SET), SMALL.text_features)
    assert module.eval().logits(batch_of(["lift it"])).shape == (1, len(SET))


def test_a_temperature_is_found_that_was_put_in() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4000, 5) * 2
    targets = torch.bernoulli(logits.sigmoid())
    assert calibrate(3.0 * logits, targets) == pytest.approx(3.0, rel=0.1)
    right = calibration_error(logits.sigmoid(), targets)
    assert right < 0.02 < calibration_error((3 * logits).sigmoid(), targets)


def test_what_does_not_suit_is_refused_in_one_line() -> None:
    joints = replace(SPEC, action_space=ActionSpace.JOINT_POSITION)
    seeing = replace(SPEC, cameras={"agentview": image_spec(24, 24)})
    cases = [
        ("displacements", lambda: ClipRt.build(SMALL, joints)),
        ("text encoder", lambda: ClipRt.build(replace(SMALL, text_encoder="bert"), SPEC)),
        ("no such folder", lambda: ClipRt.build(replace(SMALL, vision="openclip:/x"), seeing)),
        ("unknown vision", lambda: replace(SMALL, vision="resnet")),
        ("positive", lambda: replace(SMALL, logit_temperature=0.0)),
        ("no instruction", lambda: SMALL.reader().encode([""])),
    ]
    for message, attempt in cases:
        with pytest.raises(ConfigError, match=message) as caught:
            attempt()
        assert "\n" not in str(caught.value)
