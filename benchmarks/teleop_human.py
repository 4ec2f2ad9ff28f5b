"""A scripted person lifts the cube, through the browser page, and through the device protocol."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import support_path  # noqa: F401  puts the tests' support on the path
from chromium import Page
from jobs import Job
from measure import ROOT, Target
from teleop_rig import Rig, console

from robot_policy.core.files import read_json, write_json
from sim.registry import make_environment, make_expert
from sim.scripted.human import Habits, Hand
from sim.teleop_arm import TwinTeleopArm

FOLDER = ROOT / "runs" / "teleop"
EPISODES = 10
_DEAD_ZONE = 0.12
_PATIENCE_S = 120.0
_CLIP_S, _CLIP_WIDTH = 0.5, 300
_SOLVED = 400
"""Control periods within which the cube must be lifted."""


def jobs() -> list[Job]:
    """One job."""
    return [Job("human-page", ("benchmarks/teleop_human.py", "--json", str(_result())), _result())]


def rows() -> list[dict[str, Any]]:
    """What has been measured."""
    return [read_json(_result())] if _result().exists() else []


def targets(known: Mapping[str, Mapping[str, Any]]) -> list[Target]:
    """At least 9 of 10."""
    row = known.get("human: lift through the page")
    return [
        Target(
            "human_page",
            "the scripted human completes lift through the page in at least 9 of 10 episodes",
            None if row is None else row["solved"],
            f"of {EPISODES}",
            row is not None and row["episodes"] == EPISODES and row["solved"] >= 9,
            "python benchmarks/teleop.py --only human-page",
        )
    ]


def _result() -> Path:
    return FOLDER / "human-page.json"


class Person:
    """Two thumbs on the pads of the page, and a look at the arm.

    Args:
        page: The page, as a phone shows it.
        rig: Gives what there is to see.
    """

    def __init__(self, page: Page, rig: Rig) -> None:
        self._page = page
        self._rig = rig
        self._hand = Hand(
            make_expert("lift"),
            rig.arm.robot,
            full_step=rig.mapping.full_step,
            seed=0,
            habits=Habits(reaction_s=0.15, overshoot=0.2),
        )
        page.evaluate("document.querySelector('#speed').value = 100")
        page.place("#pad_left")  # scrolls to them
        self.watched: Callable[[], None] = lambda: None
        """Called after every look."""
        names = ("pad_left", "pad_right")
        self._pads = [(page.place_now(f"#{name}"), _radius(page, name)) for name in names]

    def lift(self, number: int) -> tuple[bool, int, float]:
        """Records an episode; returns whether it was solved, its steps, and its duration [s]."""
        page, rig = self._page, self._rig
        self._hand.reset(number)
        page.press("#start")
        page.wait_for("state.recording")
        begun_s, stamp_ns, closed, steps = time.monotonic(), -1, False, 0
        while not rig.arm.solved and steps < _SOLVED and time.monotonic() - begun_s < _PATIENCE_S:
            observation, _ = rig.arm.observe()
            if observation is None or observation.stamp_ns == stamp_ns:
                time.sleep(0.005)
                continue
            stamp_ns, steps = observation.stamp_ns, steps + 1
            wish = self._hand.watch(observation, policy_action=None)
            if wish.closed != closed:
                closed = wish.closed
                page.tap("Space")
            v = wish.velocity
            self._thumbs((-v[1], v[0]), (-v[5], v[2]))
            self.watched()
        page.touch()
        solved = bool(rig.arm.solved)
        kept = len(rig.session.episodes.kept)
        page.press("#success" if solved else "#failure")
        _until(lambda: len(rig.session.episodes.kept) > kept)
        return solved, rig.session.episodes.kept[-1].steps, time.monotonic() - begun_s

    def _thumbs(self, *wanted: tuple[float, float]) -> None:
        fingers: list[tuple[float, float]] = []
        for ((x, y), radius), (right, up) in zip(self._pads, wanted, strict=True):
            fingers.append((x + radius * _deflection(right), y - radius * _deflection(up)))
        self._page.touch(*fingers)


def _deflection(speed: float) -> float:
    """Where on a pad a thumb has to be for a speed: what the page does, the other way round."""
    size = min(abs(speed), 1.0)
    return (
        float(np.sign(speed)) * (_DEAD_ZONE + (1.0 - _DEAD_ZONE) * size**0.5)
        if size > 1e-3
        else 0.0
    )


def _radius(page: Page, name: str) -> float:
    return 0.5 * float(page.evaluate(f"document.getElementById('{name}').clientWidth"))


def _until(condition: Any) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError("the page did not do what was asked")
        time.sleep(0.02)


class Clip:
    """What the page shows, a few times a second.

    Args:
        page: The page.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._folder = Path(tempfile.mkdtemp())
        self._times_s: list[float] = []

    def look(self) -> None:
        """Takes a picture if it is time."""
        now_s = time.monotonic()
        if not self._times_s or now_s - self._times_s[-1] >= _CLIP_S:
            self._page.screenshot(self._folder / f"{len(self._times_s):04d}.jpg")
            self._times_s.append(now_s)

    def write(self, path: Path) -> None:
        """Writes an animated WebP."""
        from PIL import Image

        frames = [Image.open(file).convert("RGB") for file in sorted(self._folder.iterdir())]
        small = [f.resize((_CLIP_WIDTH, f.height * _CLIP_WIDTH // f.width)) for f in frames]
        durations = [round(1000 * d) for d in np.diff([*self._times_s, self._times_s[-1] + 1.0])]
        path.parent.mkdir(parents=True, exist_ok=True)
        small[0].save(
            path, save_all=True, append_images=small[1:], duration=durations, loop=0, quality=50
        )
        shutil.rmtree(self._folder)


def _be_a_person(
    rig: Rig,
    numbers: Sequence[int],
    found: list[dict[str, Any]],
    pictures: Path | None,
    clip_path: Path | None,
) -> None:
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            Page(Path(folder) / "profile", size=(430, 932), phone=True) as page,
        ):
            page.open(rig.url)
            page.wait_for("state && state.phase === 'idle'")
            person = Person(page, rig)
            if clip_path is not None:
                clip = Clip(page)
                person.watched = clip.look
                person.lift(numbers[-1] + 1 if numbers else 0)
                person.watched = lambda: None
                clip.write(clip_path)
            for number in numbers:
                solved, steps, seconds = person.lift(number)
                found.append(
                    {
                        "start": number,
                        "solved": solved,
                        "steps": steps,
                        "seconds": round(seconds, 1),
                    }
                )
                print(found[-1], flush=True)
                if pictures is not None:
                    page.screenshot(pictures / f"episode-{number}.png")
    finally:
        rig.loop.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Drives the page; the simulator runs in this thread, the person in another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--start", type=int, default=0, help="number of the first start")
    parser.add_argument("--output", type=Path, default=FOLDER / "human-page")
    parser.add_argument("--pictures", type=Path, help="folder for a screenshot after each episode")
    parser.add_argument("--clip", type=Path, help="animated WebP of one more episode")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    shutil.rmtree(given.output, ignore_errors=True)
    arm = TwinTeleopArm(
        make_environment("lift", endless=True), shown=("agentview",), shown_size=(120, 160)
    )
    found: list[dict[str, Any]] = []
    numbers = range(given.start, given.start + given.episodes)
    with console(arm, given.output, first_start=given.start) as rig:
        person = threading.Thread(
            target=_be_a_person, args=(rig, numbers, found, given.pictures, given.clip)
        )
        person.start()
        rig.loop.run()
        person.join()
    arm.close()
    row = {
        "cell": "human: lift through the page",
        "episodes": len(found),
        "solved": sum(entry["solved"] for entry in found),
        "outcomes": found,
        "load_average": round(os.getloadavg()[0], 1),
    }
    if given.json is not None:
        write_json(given.json, row)
    print(json.dumps(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
