"""A session, its loop and its console around any arm, for the benchmarks of teleoperation."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from robot_policy.teleop.arm import TeleopArm
from robot_policy.teleop.console.app import Console
from robot_policy.teleop.console.board import Board
from robot_policy.teleop.console.buttons import Buttons
from robot_policy.teleop.console.server import ConsoleServer
from robot_policy.teleop.devices.browser import Browser
from robot_policy.teleop.driving import Driving
from robot_policy.teleop.episodes import Episodes
from robot_policy.teleop.loop import TeleopLoop, Wake
from robot_policy.teleop.mapping import Mapping, MappingConfig
from robot_policy.teleop.session import Session


@dataclass
class Rig:
    """Everything that runs."""

    arm: TeleopArm
    session: Session
    mapping: Mapping
    loop: TeleopLoop
    url: str


@contextmanager
def console(arm: TeleopArm, output: Path | None, *, first_start: int = 0) -> Iterator[Rig]:
    """Yields a console whose loop runs in the caller's thread by ``rig.loop.run``."""
    wake = Wake()
    browser = Browser(woken=wake)
    mapping = Mapping(arm.robot, MappingConfig())
    session = Session(
        Driving(arm.robot, mapping),
        Episodes(output, arm.spec),
        task="lift the red cube",
        simulated=True,
        reset=arm.reset,
        first_start=first_start,
    )
    board = Board(arm, session, arm.shown)
    buttons = Buttons(session, browser)
    server = ConsoleServer(
        Console(
            token="only-for-this-measurement",
            board=board,
            browser=browser,
            press=browser.press,
            say=buttons.say,
            set_task=buttons.set_task,
            about={"robot": arm.robot.name, "cameras": list(arm.shown), "help": []},
            dataset=output,
        )
    )

    def show() -> None:
        buttons.carry_out()
        board.show()

    loop = TeleopLoop(arm, browser, session, wake=wake, shown=show)
    try:
        yield Rig(arm, session, mapping, loop, server.url)
    finally:
        server.close()
        session.close()


@contextmanager
def beside(run: "threading.Thread", loop: TeleopLoop) -> Iterator[None]:
    """Runs a thread beside the block, and stops the loop with it."""
    run.start()
    try:
        yield
    finally:
        loop.stop()
        run.join()
