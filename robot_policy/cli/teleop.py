"""`robot-policy teleop TASK --output DIR`: an arm driven by hand, in a browser by default."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from robot_policy.cli.arm_access import Via, choose_via, silence
from robot_policy.cli.keyboard import status_line
from robot_policy.cli.policy_source import open_policy, read_spec
from robot_policy.cli.steering_options import SteeringOptions
from robot_policy.cli.teleop_arms import TeleopChoice, opened
from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.robot import RobotDescription, load_robot
from robot_policy.core.specs import PolicySpec, check_runs_on
from robot_policy.runtime.agent import Agent, AgentConfig
from robot_policy.runtime.planning import Planner
from robot_policy.runtime.thread_worker import ThreadWorker
from robot_policy.serving.token import read_or_make_token
from robot_policy.teleop.arm import TeleopArm
from robot_policy.teleop.device import Device, DeviceSettings
from robot_policy.teleop.devices.browser import Browser
from robot_policy.teleop.devices.together import Together
from robot_policy.teleop.driving import Driving
from robot_policy.teleop.episodes import Episodes
from robot_policy.teleop.loop import TeleopLoop, Wake
from robot_policy.teleop.mapping import Frame, Mapping, MappingConfig, view_axes
from robot_policy.teleop.registry import DEVICES
from robot_policy.teleop.session import Session

_BROWSER = "browser"
_ROS_DEVICES = ("twist", "joy", "leader")


@dataclass(frozen=True)
class TeleopConfig:
    """Drive an arm by hand and record it. Every command passes the safety filter."""

    task: Positional[str] = "lift"
    """Task of the twin: lift, can, square or stack. An arm behind topics ignores it."""
    output: Path | None = None
    """Dataset (LeRobot v3.0); one that is there is appended to. Without it nothing is recorded."""
    device: str = _BROWSER
    """What drives: browser, keyboard (this terminal), gamepad, spacemouse, or on topics twist,
    joy, leader. The browser can drive beside any other."""
    device_path: str = ""
    """Which one: a file below /dev/input, a topic, or the YAML file of a leader arm."""
    robot: str = "panda_twin"
    """Robot description, name or YAML file."""
    via: str = ""
    """How the arm is reached: twin (in this process), nodes (the twin's node, over topics) or ros
    (its topics); by default twin for a simulated arm, else ros."""
    instruction: str = ""
    """Task text; by default the twin's own."""
    cameras: tuple[str, ...] | None = None
    """Cameras to record; by default none of the twin's, all of an arm's."""
    image_size: tuple[int, int] | None = None
    """Height and width of the pictures that the twin takes; by default the description's."""
    show: tuple[str, ...] | None = None
    """Cameras of the twin to look through; by default agentview and wrist."""
    frame: Frame = Frame.BASE
    """Axes that a hand moves along: base, tool, or camera (as the first one sees it)."""
    speed: float = 0.6
    """Full speed, as a part of the largest command."""
    scale: float = 1.0
    """Metres of the arm per metre of the hand."""
    smoothing_s: float = 0.05
    """Time constant of the low pass on velocities [s]."""
    policy: Path | None = None
    """A training run or policy folder that can drive; touching a device takes over."""
    server: str | None = None
    """In place of it, the URL of a server that serve-policy runs."""
    num_samples: int = 1
    """Candidates drawn per plan; they are drawn into the pictures."""
    schedule: str = "receding"
    """Which action of which chunk is executed when."""
    execute_steps: int | None = None
    """Actions of a chunk executed before planning again."""
    steering: Annotated[SteeringOptions, arg(name="")] = field(default_factory=SteeringOptions)
    bags: Path | None = None
    """Folder for a rosbag2 (MCAP) of every episode as well; for an arm behind topics."""
    start: int = 0
    """Number of the first start, the twin's seed."""
    console: bool = True
    """Serve the page."""
    host: str = "127.0.0.1"
    """Address of the page; by default nobody else can reach it."""
    port: int = 8090
    """Port of the page, 0 for any that is free."""
    token_file: Path | None = None
    """File with the page's token; by default $ROBOT_POLICY_TOKEN, or
    ~/.config/robot-policy/token, which is made."""
    seconds: float | None = None
    """End by itself after this time [s]."""
    max_age_s: float = 0.3
    """Oldest input that is acted upon [s]."""
    domain: int | None = None
    """ROS domain; by default one drawn at random where the twin's node is started."""
    verbose: bool = False
    """Show what the nodes log."""


def run(config: TeleopConfig) -> int:
    """Drives until Ctrl-C.

    Returns:
        0; 1 if an episode could not be written, or a node died.
    """
    robot = load_robot(config.robot)
    choice = _choice(config, robot)
    mapping = MappingConfig(config.frame, config.speed, config.scale, config.smoothing_s)
    if config.device not in (*DEVICES, *_ROS_DEVICES):
        raise UnknownNameError.of(
            "device", config.device, (*DEVICES, *_ROS_DEVICES), where="--device"
        )
    if config.device == _BROWSER and not config.console:
        raise ConfigError("the browser needs the console", where="--device browser, --no-console")
    if config.bags is not None and choice.via is Via.TWIN:
        raise ConfigError("there are no topics", where="--bags", hint="--via nodes has some")
    if config.device in _ROS_DEVICES and choice.via is Via.TWIN:
        raise ConfigError(
            "a device on a topic needs topics",
            where=f"--device {config.device}",
            hint="--via nodes has some, and so has an arm",
        )
    wake = Wake()
    # What is missing is said before a simulator is built.
    device = _local_device(config, robot, wake)
    try:
        with opened(choice) as (arm, node):
            return _drive(config, mapping, arm, node, device, wake)
    except silence(choice.via) as error:
        print(f"robot-policy: {error}", file=sys.stderr)
        return 1
    finally:
        if device is not None:
            device.close()


def _choice(config: TeleopConfig, robot: RobotDescription) -> TeleopChoice:
    via = choose_via(robot, config.via)
    if via is not Via.ROS:
        from sim.registry import TASKS

        if config.task not in TASKS:
            raise UnknownNameError.of("task", config.task, TASKS)
    policy = _policy_spec(config)
    cameras = config.cameras
    if cameras is None:
        cameras = tuple(robot.cameras) if via is Via.ROS else ()
    if policy is not None:
        cameras = tuple(dict.fromkeys((*cameras, *policy.cameras)))
    robot.spec(cameras=cameras)  # refuses unknown names
    shown = config.show
    if shown is None:
        shown = tuple(name for name in ("agentview", "wrist") if name in robot.cameras)
    robot.spec(cameras=shown)
    if via is Via.NODES and config.console and not cameras:
        cameras = shown
    return TeleopChoice(
        robot=robot,
        name=config.robot,
        via=via,
        task=config.task,
        cameras=cameras,
        shown=tuple(name for name in shown if name not in cameras) if config.console else (),
        image_size=config.image_size,
        start=config.start,
        domain=config.domain,
        max_age_s=config.max_age_s,
        verbose=config.verbose,
    )


def _policy_spec(config: TeleopConfig) -> PolicySpec | None:
    if config.policy is None and config.server is None:
        return None
    return read_spec(config.policy, config.server)


def _local_device(config: TeleopConfig, robot: RobotDescription, wake: Wake) -> Device | None:
    """Opens a device that needs no topics; None for the browser and those that do."""
    if config.device == _BROWSER or config.device in _ROS_DEVICES:
        return None
    device: Device = DEVICES[config.device].open(DeviceSettings(robot, config.device_path, wake))
    return device


def _drive(
    config: TeleopConfig,
    mapping: MappingConfig,
    arm: TeleopArm,
    node: Any,
    device: Device | None,
    wake: Wake,
) -> int:
    with ExitStack() as stack:
        agent = _agent(config, arm, stack)
        browser = Browser(woken=wake)
        if config.device in _ROS_DEVICES:
            from robot_policy_ros.devices.registry import ROS_DEVICES

            settings = DeviceSettings(arm.robot, config.device_path, wake)
            opened: Device = ROS_DEVICES[config.device].open(settings, node)
            stack.callback(opened.close)
            device = opened
        driver: Device = browser
        if device is not None:
            _print_help(device)
            driver = Together([browser, device]) if config.console else device
        driving = Driving(arm.robot, _mapping(mapping, arm), agent=agent)
        episodes = Episodes(
            config.output,
            arm.spec,
            interventions=agent is not None,
            metadata=_metadata(config),
            beside=_bags(config, arm, node, stack),
        )
        session = Session(
            driving,
            episodes,
            task=config.instruction,
            simulated=arm.robot.simulated,
            reset=arm.reset if arm.can_reset else None,
            first_start=config.start,
        )
        try:
            with _shown(config, arm, session, browser, wake) as show:
                loop = TeleopLoop(arm, driver, session, wake=wake, shown=show)
                _run(loop, config.seconds)
        finally:
            lost = session.close()
    return _report(session, lost)


def _run(loop: TeleopLoop, seconds: float | None) -> None:
    try:
        loop.run(for_s=seconds)
    except KeyboardInterrupt:
        print("\nstopped: the arm holds", file=sys.stderr)


def _agent(config: TeleopConfig, arm: TeleopArm, stack: ExitStack) -> Agent | None:
    if config.policy is None and config.server is None:
        return None
    policy: Any = open_policy(config.policy, config.server)
    check_runs_on(policy.spec, arm.spec, where=f"policy {config.policy or config.server}")
    if config.steering.active:
        from robot_policy.steered import steer

        policy = steer(
            policy,
            checkpoint=config.policy,
            critics=config.steering.steer,
            config=config.steering.config,
            support=config.steering.support,
            resample=config.steering.resample,
            execute_steps=config.execute_steps,
            instruction=config.instruction,
            device="cpu",
        )
    settings = AgentConfig(
        execute_steps=config.execute_steps,
        num_samples=config.num_samples,
        schedule=config.schedule,
    )
    source = policy
    if not arm.robot.simulated:  # a real arm must not wait for a plan
        source = ThreadWorker(Planner(policy, num_samples=config.num_samples))
        stack.callback(source.close)
    return Agent(source, arm.robot, config=settings)


def _mapping(config: MappingConfig, arm: TeleopArm) -> Mapping:
    axes = None
    if config.frame == Frame.CAMERA and arm.robot.cameras:
        view = arm.view(next(iter(arm.robot.cameras)))
        axes = None if view is None else view_axes(view.base_T_camera)
    return Mapping(arm.robot, config, base_R_view=axes)


def _print_help(device: Device) -> None:
    width = max((len(control) for control, _ in device.controls_help), default=0)
    for control, what in device.controls_help:
        print(f"  {control:<{width}}  {what}", file=sys.stderr)


def _metadata(config: TeleopConfig) -> dict[str, Any]:
    told = {"device": config.device, "frame": config.frame.value, "speed": config.speed}
    policy = config.policy or config.server
    return {"teleop": told} | ({"policy": str(policy)} if policy is not None else {})


def _bags(config: TeleopConfig, arm: TeleopArm, node: Any, stack: ExitStack) -> Any:
    if config.bags is None:
        return None
    from robot_policy_ros.episode_bags import EpisodeBags

    bags = EpisodeBags(node, arm.robot, tuple(arm.spec.cameras), folder=config.bags)
    stack.callback(bags.close)
    return bags


@contextmanager
def _shown(
    config: TeleopConfig, arm: TeleopArm, session: Session, browser: Browser, wake: Wake
) -> Iterator[Any]:
    """Yields what is called after every control period."""
    with status_line() as line:
        if not config.console:
            yield lambda: line(_status(session))
            return
        from robot_policy.teleop.console.app import Console
        from robot_policy.teleop.console.board import Board
        from robot_policy.teleop.console.buttons import Buttons
        from robot_policy.teleop.console.server import ConsoleServer

        token, _ = read_or_make_token(config.token_file)
        cameras = arm.shown
        board = Board(arm, session, cameras)
        buttons = Buttons(session, browser)
        console = Console(
            token=token,
            board=board,
            browser=browser,
            press=browser.press,
            say=buttons.say,
            set_task=buttons.set_task,
            about={
                "robot": arm.robot.name,
                "cameras": list(cameras),
                "help": [list(row) for row in browser.controls_help],
            },
            dataset=config.output,
        )
        server = ConsoleServer(console, host=config.host, port=config.port)
        if not server.stays_here:
            print(
                "warning: not encrypted: others on the network can read the token", file=sys.stderr
            )
        print(f"open {server.url}", flush=True)

        def show() -> None:
            buttons.carry_out()
            board.show()
            line(_status(session))

        try:
            yield show
        finally:
            server.close()


def _status(session: Session) -> str:
    episodes = session.episodes
    told = session.messages[-1].text if session.messages else ""
    at = f"{session.phase.value}, {episodes.steps} steps" if episodes.recording else session.phase
    return f"[{at}] {len(episodes.kept)} kept  {told}"[:150]


def _report(session: Session, lost: int) -> int:
    episodes = session.episodes
    if episodes.output is not None:
        steps = sum(kept.steps for kept in episodes.kept)
        print(f"{episodes.output}: {len(episodes.kept)} new episodes, {steps} steps")
    if lost:
        print(f"robot-policy: {lost} episodes are lost: {episodes.save_problem}", file=sys.stderr)
    return int(bool(lost))
