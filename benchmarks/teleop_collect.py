"""Episodes of the scripted person by the device protocol, alone or taking over from a policy."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_policy.checkpoint import load_policy
from robot_policy.core.files import write_json
from robot_policy.runtime.agent import Agent, AgentConfig
from robot_policy.teleop.controls import Command
from robot_policy.teleop.driving import Driving
from robot_policy.teleop.episodes import Episodes
from robot_policy.teleop.mapping import Mapping, MappingConfig
from robot_policy.teleop.session import Session
from sim.registry import make_environment, make_expert
from sim.scripted.human import Hand, ScriptedHuman
from sim.teleop_arm import TwinTeleopArm

_PERIOD_NS = 50_000_000
_LONGEST = 400


def collect(
    output: Path, *, task: str, episodes: int, start: int, policy: Path | None
) -> dict[str, object]:
    """Records as many episodes as asked for; goes on with a set that is there.

    A simulation needs no clock, so time is counted and not waited for.
    """
    arm = TwinTeleopArm(make_environment(task, endless=True), start=start)
    agent = None
    if policy is not None:
        agent = Agent(load_policy(policy), arm.robot, config=AgentConfig())
    mapping = Mapping(arm.robot, MappingConfig())
    driving = Driving(arm.robot, mapping, agent=agent)
    told = {} if policy is None else {"policy": str(policy)}
    recorded = Episodes(output, arm.spec, interventions=agent is not None, metadata=told)
    first = start + recorded.number
    session = Session(driving, recorded, simulated=True, reset=arm.reset, first_start=first)
    arm.reset(first)
    hand = Hand(make_expert(task), arm.robot, full_step=mapping.full_step, seed=first)
    human = ScriptedHuman(hand, lambda: arm.observe()[0], policy=lambda: _wants(session))
    now_ns = 0
    for number in range(first, start + episodes):
        hand.reset(number)
        begin = (Command.START,) if agent is None else (Command.START, Command.RUN_POLICY)
        for _ in range(_LONGEST):
            now_ns += _PERIOD_NS
            driven = session.step(
                arm.observe()[0], human.read(now_ns), now_ns=now_ns, commands=begin
            )
            begin = ()
            if driven is not None:
                arm.send(driven.action)
            if arm.solved:
                break
        outcome = Command.SUCCESS if arm.solved else Command.FAILURE
        now_ns += _PERIOD_NS
        session.step(arm.observe()[0], None, now_ns=now_ns, commands=(outcome,))
        print(recorded.kept[-1], flush=True)
    lost = session.close()
    arm.close()
    steps = sum(kept.steps for kept in recorded.kept)
    return {
        "episodes": len(recorded.kept),
        "solved": sum(kept.success == "yes" for kept in recorded.kept),
        "steps": steps,
        "by_hand": sum(kept.interventions for kept in recorded.kept) if policy else steps,
        "lost": lost,
    }


def _wants(session: Session) -> NDArray[np.float32] | None:
    """What the running policy does or would do; zero while it has nothing."""
    driven = session.driven
    if not session.driving.policy_runs:
        return None
    if driven is None or driven.policy_action is None:
        return np.zeros(7, np.float32)
    return driven.policy_action


def main(arguments: Sequence[str] | None = None) -> int:
    """Collects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="lift")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--start", type=int, default=20_000, help="number of the first start")
    parser.add_argument("--policy", type=Path, help="a run that drives until it fails")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args(arguments)
    result = collect(
        given.output,
        task=given.task,
        episodes=given.episodes,
        start=given.start,
        policy=given.policy,
    )
    write_json(given.json, result)
    print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
