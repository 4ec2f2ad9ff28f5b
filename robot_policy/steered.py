"""Puts a policy and its critics together, after checking that they fit each other."""

from collections.abc import Sequence
from pathlib import Path

from robot_policy.checkpoint import load_scorer, load_statistics
from robot_policy.core.errors import ConfigError
from robot_policy.core.policy import LoadedPolicy, Policy, Scorer
from robot_policy.runtime.chunking import resolve_execute_steps
from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.guidance.fit import check_fit, check_statistics
from robot_policy.runtime.guidance.judges import CombinedScorer
from robot_policy.runtime.guidance.past_verification import PastVerification
from robot_policy.runtime.guidance.steered_policy import SteeredPolicy


def steer(
    policy: LoadedPolicy,
    *,
    checkpoint: Path | None,
    critics: Sequence[Path],
    config: SteeringConfig,
    support: Path | None = None,
    resample: int = 0,
    execute_steps: int | None = None,
    instruction: str | None = None,
    device: str = "cpu",
    threads: int = 0,
) -> SteeredPolicy:
    """Loads critics and returns policy and critics as one policy.

    Args:
        policy: Loaded from `checkpoint`.
        checkpoint: Of the policy; None where it is elsewhere, and with it its statistics.
        critics: That judge; of several each counts in units of its own spread. None for the
            strategies that do not look at judgements.
        config: How candidates are made and chosen.
        support: Support critic, without which every candidate may be taken.
        resample: Times that candidates are resampled while they are denoised.
        execute_steps: Ta; None takes the default. As many actions are judged.
        instruction: That will be given; None where it is not known yet.
        device: Where the critics run.
        threads: CPU threads that each may use.

    Raises:
        RobotPolicyError: If a critic cannot be loaded or does not fit; the message names both.
    """
    steps = resolve_execute_steps(execute_steps, horizon=policy.spec.horizon)
    paths = [*critics, *([] if support is None else [support])]
    scorers = [load_scorer(path, device=device, threads=threads) for path in paths]
    for path, scorer in zip(paths, scorers, strict=True):
        check_fit(
            scorer,
            policy.spec,
            execute_steps=steps,
            instruction=instruction,
            critic_name=str(path),
            policy_name=str(checkpoint or "of the server"),
        )
        if checkpoint is not None:
            where = f"critic {path} for policy {checkpoint}"
            check_statistics(load_statistics(path), load_statistics(checkpoint), where=where)
    usual = None if support is None else scorers.pop()
    if usual is not None and usual.name != "support":
        raise ConfigError(
            "not a support critic", where=str(support), expected="kind support", got=usual.name
        )
    judges: list[Scorer] = list(scorers)
    if config.verify_past:
        judges.append(PastVerification(policy.spec, policy_name=str(checkpoint or "of the server")))
    judge: Scorer | None = None
    if judges:
        judge = judges[0] if len(judges) == 1 else CombinedScorer(judges)
    base: Policy = policy
    if resample:
        if judge is None:
            raise ConfigError("nothing to resample by", where="resample", hint="needs a critic")
        from robot_policy.policies.denoising.feynman_kac import FeynmanKacPolicy  # needs torch

        base = FeynmanKacPolicy(policy, judge, times=resample, scored_steps=steps)
    return SteeredPolicy(base, judge, config=config, scored_steps=steps, support=usual)
