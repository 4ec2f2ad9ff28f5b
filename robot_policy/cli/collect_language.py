"""`robot-policy collect TASK --output DIR --language`: demonstrations given by talking."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from robot_policy.cli.arm_access import choose_via
from robot_policy.cli.collect_language_options import TalkOptions
from robot_policy.cli.teleop_arms import TeleopChoice, opened
from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError
from robot_policy.core.files import require_new_folder
from robot_policy.core.robot import load_robot
from robot_policy.data.episode_saver import EpisodeSaver
from robot_policy.nets.language import make_text_encoder
from robot_policy.policies.primitives import PrimitiveSet
from robot_policy.policies.sentence_parser import SentenceParser
from robot_policy.teleop.arm import TeleopArm
from robot_policy.teleop.primitive_endpoint import PrimitiveEndpoint
from robot_policy.teleop.scene_picture import ScenePage, in_terminal, served_page
from robot_policy.teleop.talking import TalkSession

_FEATURES = 1024
_KEY = "ROBOT_POLICY_ENDPOINT_KEY"
"""Environment variable with what the endpoint wants to be shown."""
_FAILED = ("failed", "discard")
_QUIT = ("quit", "exit")


@dataclass
class _Count:
    kept: int = 0
    successes: int = 0


def run_language(
    options: TalkOptions,
    *,
    task: str,
    output: Path,
    episodes: int,
    seed: int,
    robot: str,
    cameras: tuple[str, ...],
    image_size: tuple[int, int] | None,
    resume: bool,
) -> int:
    """Reads sentences from the standard input until there are enough episodes.

    Returns:
        0, or 130 after Ctrl-C.
    """
    if episodes < 1:
        raise ConfigError("too small", where="--episodes", expected=">= 1", got=episodes)
    if not resume:
        require_new_folder(output)
    description = load_robot(robot)
    primitives = PrimitiveSet.for_robot(description)
    chooser = None
    if options.endpoint:
        names = [p.name for p in primitives]
        key = os.environ.get(_KEY, "")
        chooser = PrimitiveEndpoint(options.endpoint, options.model, names, key=key)
    encoder = make_text_encoder(options.text_encoder, features=_FEATURES)
    parser = SentenceParser(primitives, encoder)
    choice = TeleopChoice(
        robot=description,
        name=robot,
        via=choose_via(description, options.via),
        task=task,
        cameras=cameras,
        shown=() if options.picture == "none" or options.camera in cameras else (options.camera,),
        image_size=image_size,
        start=seed,
        domain=options.domain,
    )
    count = _Count()
    try:
        with ExitStack() as stack:
            page = None
            if options.picture == "browser":
                page = stack.enter_context(served_page(port=options.port))
                print(f"the scene: {page.address}", flush=True)
            arm, _ = stack.enter_context(opened(choice))
            saver = stack.enter_context(_saver(output, arm))
            session = TalkSession(
                arm, parser, primitives, instruction=options.instruction, chooser=chooser
            )
            _talk(session, arm, saver, options, page, count, wanted=episodes, seed=seed)
    except KeyboardInterrupt:
        print(f"\nstopped; {output}: {count.kept} episodes kept", file=sys.stderr)
        return 130
    print(f"{output}: {count.kept} episodes, {count.successes} successful")
    return 0


@contextmanager
def _saver(output: Path, arm: TeleopArm) -> Iterator[EpisodeSaver]:
    saver = EpisodeSaver(output, arm.spec)
    try:
        yield saver
    finally:
        lost = saver.close()
        if lost:
            print(f"{lost} episodes could not be written: {saver.problem}", file=sys.stderr)


def _talk(
    session: TalkSession,
    arm: TeleopArm,
    saver: EpisodeSaver,
    options: TalkOptions,
    page: ScenePage | None,
    count: _Count,
    *,
    wanted: int,
    seed: int,
) -> None:
    start = seed
    _announce(session, count, wanted)
    _show(arm, options, page, f"task: {session.task}")
    for sentence in _sentences():
        word = sentence.strip().lower()
        if word in _QUIT:
            break
        if word in _FAILED:
            if word == "failed" and session.steps:
                _keep(session, saver, count, Success.NO)
            start = _next(session, arm, start)
            _announce(session, count, wanted)
            continue
        reply = session.say(sentence)
        print(reply.text, flush=True)
        _show(arm, options, page, f"{sentence.strip()}: {reply.text}")
        if not reply.over:
            continue
        if session.steps:
            _keep(session, saver, count, None)
        if count.kept >= wanted:
            return
        start = _next(session, arm, start)
        _announce(session, count, wanted)
    if session.steps:
        print("the episode that was not done is not kept", file=sys.stderr)


def _keep(
    session: TalkSession, saver: EpisodeSaver, count: _Count, success: Success | None
) -> None:
    episode = session.finish(success)
    saver.submit(episode)
    count.kept += 1
    count.successes += episode.success is Success.YES
    print(f"kept: {len(episode)} steps, success {episode.success.value}", flush=True)


def _next(session: TalkSession, arm: TeleopArm, start: int) -> int:
    if arm.can_reset:
        start += 1
        arm.reset(start)
    session.begin()
    return start


def _announce(session: TalkSession, count: _Count, wanted: int) -> None:
    print(
        f"episode {count.kept + 1} of {wanted}: {session.task}\n"
        "say what to do; undo, again, done; failed or discard ends the episode, quit the session",
        flush=True,
    )


def _sentences() -> Iterator[str]:
    prompt = sys.stdin.isatty()
    while True:
        if prompt:
            print("> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip() or prompt:
            yield line.rstrip("\n")


def _show(arm: TeleopArm, options: TalkOptions, page: ScenePage | None, text: str) -> None:
    if options.picture == "none":
        return
    image = arm.picture(options.camera)
    if image is None:
        return
    if page is not None:
        page.show(text, image)
    else:
        print(in_terminal(image), flush=True)
