"""Episodes of a scripted speaker, through the same session as `collect --language`."""

import argparse
import sys
from pathlib import Path

import numpy as np

from robot_policy.core.episode import Episode, Success
from robot_policy.core.files import write_json
from robot_policy.data.formats.registry import FORMATS
from robot_policy.nets.language import HashingTextEncoder
from robot_policy.policies.primitives import PrimitiveSet
from robot_policy.policies.sentence_parser import SentenceParser
from robot_policy.teleop.talking import TalkSession
from sim.augmentation import augmented, execute
from sim.primitive_replay import decisions_of
from sim.registry import make_environment, make_expert
from sim.scripted.speaker import ScriptedSpeaker
from sim.teleop_arm import TwinTeleopArm

SENTENCES = 150
"""After which a speaker gives up."""
_TRIES = 3
"""Executions per augmented episode that is wanted."""


def main() -> int:
    """Writes a data set, and counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("--episodes", type=int, required=True)
    parser.add_argument("--augment", type=int, default=0, help="episodes made of each")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    cameras = ("agentview",)
    talking = make_environment(arguments.task, cameras=cameras, endless=True)
    again = make_environment(arguments.task, cameras=cameras)
    primitives = PrimitiveSet.for_robot(again.robot)
    spoken: list[Episode] = []
    made: list[Episode] = []
    seed = 0
    while len(spoken) < arguments.episodes and seed < 3 * arguments.episodes:
        arm = TwinTeleopArm(talking, start=seed)
        speaker = ScriptedSpeaker(
            make_expert(arguments.task), primitives, np.random.default_rng(seed)
        )
        session = TalkSession(arm, SentenceParser(primitives, HashingTextEncoder(1024)), primitives)
        episode = speak(session, speaker, arm)
        if episode is not None:
            spoken.append(episode)
            moves = [d.move for d in decisions_of(episode, again.robot, primitives)]
            rng = np.random.default_rng([seed, 1])
            tries = (
                execute(again, augmented(moves, primitives, rng), seed=seed)
                for _ in range(_TRIES * arguments.augment)
            )
            made += [e for _, e in zip(range(arguments.augment), filter(None, tries), strict=False)]
        seed += 1
    episodes = [*spoken, *made]
    FORMATS["lerobot_v3"].write(arguments.output, iter(episodes), again.spec)
    counts = {"spoken": len(spoken), "augmented": len(made), "tried": seed}
    write_json(arguments.json, {"task": arguments.task, **counts})
    return 0


def speak(session: TalkSession, speaker: ScriptedSpeaker, arm: TwinTeleopArm) -> Episode | None:
    """Talks until the task is reached; None if it is not."""
    for _ in range(SENTENCES):
        observation, _ = arm.observe()
        assert observation is not None
        reply = session.say(speaker.sentence(observation, closed=session.closed))
        if reply.over:
            episode = session.finish()
            return episode if episode.success is Success.YES else None
        if not reply.moved:
            session.say("wait")
    return None


if __name__ == "__main__":
    sys.exit(main())
