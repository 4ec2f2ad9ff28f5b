"""The program `robot-policy`: finds the command, reads its options, says errors in one line."""

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from robot_policy import __version__
from robot_policy.core.errors import RobotPolicyError, UnknownNameError

PROGRAM = "robot-policy"


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        module: Where it is; imported only when the command is used.
        help: One line for the overview.
        config: Name of its dataclass of options, or of a function that parses its arguments.
        run: Name of the function that takes the options and returns the exit status.
    """

    module: str
    help: str
    config: str
    run: str = "run"


COMMANDS = {
    "collect": Command(
        "robot_policy.cli.collect",
        "Record demonstrations of a scripted expert in the twin.",
        "CollectConfig",
    ),
    "data info": Command("robot_policy.cli.data_info", "Show what a dataset holds.", "InfoConfig"),
    "data validate": Command(
        "robot_policy.cli.data_validate",
        "Check a dataset, and mend a copy of it.",
        "ValidateConfig",
    ),
    "data view": Command(
        "robot_policy.cli.data_view",
        "Show episodes: an HTML page, or a recording for rerun.",
        "ViewConfig",
    ),
    "data filter": Command(
        "robot_policy.cli.data_filter", "Choose episodes by a condition, as a view.", "FilterConfig"
    ),
    "data split": Command(
        "robot_policy.cli.data_split", "Divide episodes at random, as views.", "SplitConfig"
    ),
    "data merge": Command(
        "robot_policy.cli.data_merge", "Join datasets, as a view.", "MergeConfig"
    ),
    "data label": Command(
        "robot_policy.cli.data_label", "Label episodes, in a view.", "LabelConfig"
    ),
    "data reward": Command(
        "robot_policy.cli.data_reward",
        "Copy a dataset with rewards from a critic of what was asked for.",
        "RewardConfig",
    ),
    "data convert": Command(
        "robot_policy.cli.data_convert",
        "Convert a dataset to another format; goes on where it was stopped.",
        "ConvertConfig",
    ),
    "train": Command("robot_policy.cli.train", "Train a policy on a dataset; resumable.", "parse"),
    "train-critic": Command(
        "robot_policy.cli.train_critic",
        "Train a critic, which judges actions, on a dataset; resumable.",
        "parse",
    ),
    "train-peer": Command(
        "robot_policy.cli.train_peer",
        "Let lerobot or robomimic train its own policy, and adopt the result.",
        "parse",
    ),
    "adopt": Command(
        "robot_policy.cli.adopt",
        "Turn a policy that lerobot or robomimic trained into a checkpoint.",
        "AdoptConfig",
    ),
    "eval": Command(
        "robot_policy.cli.eval",
        "Evaluate a checkpoint in the twin: success, interval, report.",
        "EvalConfig",
    ),
    "critic-report": Command(
        "robot_policy.cli.critic_report",
        "Measure how good a critic is: calibration, ranking, curves; HTML report.",
        "CriticReportConfig",
    ),
    "calibrate board": Command(
        "robot_policy.cli.calibrate_board",
        "Make a calibration board to print, at true scale.",
        "BoardConfig",
    ),
    "calibrate intrinsics": Command(
        "robot_policy.cli.calibrate_intrinsics",
        "Find the intrinsics of a camera from pictures of a board.",
        "IntrinsicsConfig",
    ),
    "calibrate hand-eye": Command(
        "robot_policy.cli.calibrate_hand_eye",
        "Find where cameras sit on an arm, or beside it.",
        "HandEyeConfig",
    ),
    "calibrate time-offset": Command(
        "robot_policy.cli.calibrate_time_offset",
        "Find how far the clocks of a camera and an arm are apart.",
        "TimeOffsetConfig",
    ),
    "calibrate report": Command(
        "robot_policy.cli.calibrate_report",
        "Show a calibration as an HTML page.",
        "ReportConfig",
    ),
    "calibrate capture": Command(
        "robot_policy.cli.calibrate_capture",
        "Take samples for calibrations, by moving the arm, by hand, or from a recording.",
        "CaptureConfig",
    ),
    "calibrate check": Command(
        "robot_policy.cli.calibrate_check",
        "Measure how far a stored calibration is off by now.",
        "CheckConfig",
    ),
    "compare": Command(
        "robot_policy.cli.compare", "Pair two evaluations by seed.", "CompareConfig"
    ),
    "export": Command(
        "robot_policy.cli.export",
        "Make a trained policy run without torch, as an ONNX graph.",
        "ExportConfig",
    ),
    "robot list": Command(
        "robot_policy.cli.robot",
        "List the robots whose descriptions are found.",
        "ListConfig",
        "run_list",
    ),
    "robot check": Command(
        "robot_policy.cli.robot",
        "Check a robot description, and show what it limits.",
        "CheckConfig",
        "run_check",
    ),
    "safety fit": Command(
        "robot_policy.cli.safety",
        "Learn from a data set where the robot has been, to stop it far from there.",
        "FitConfig",
        "run_fit",
    ),
    "serve": Command("robot_policy.cli.serve", "Run the ROS 2 policy node.", "ServeConfig"),
    "serve-policy": Command(
        "robot_policy.cli.serve_policy",
        "Answer robots elsewhere over a websocket; openpi's client can ask too.",
        "ServePolicyConfig",
    ),
    "teleop": Command(
        "robot_policy.cli.teleop",
        "Drive an arm, or its twin, by hand, and record it: browser, keyboard, and other devices.",
        "TeleopConfig",
    ),
    "replay": Command(
        "robot_policy.cli.replay",
        "Drive an arm, or its twin, as a recorded episode did, through the safety filter.",
        "ReplayConfig",
    ),
    "record": Command(
        "robot_policy.cli.record", "Record demonstrations from an arm's topics.", "RecordConfig"
    ),
    "up": Command(
        "robot_policy.cli.up",
        "Run twin and policy node together and report success over ROS 2.",
        "UpConfig",
    ),
    "bench latency": Command(
        "robot_policy.cli.bench_latency",
        "Measure how long policies think, side by side.",
        "LatencyConfig",
    ),
    "bench loader": Command(
        "robot_policy.cli.bench_loader",
        "Measure how fast windows of a video dataset are loaded, beside lerobot.",
        "LoaderBenchConfig",
    ),
    "bench control-rate": Command(
        "robot_policy.cli.bench_control_rate",
        "Measure whether commands come in time while a policy plans.",
        "ControlRateConfig",
    ),
    "bench train": Command(
        "robot_policy.cli.bench_train",
        "Measure how fast policies learn, side by side.",
        "TrainBenchConfig",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program.

    Returns:
        0 on success, 2 on bad input, 130 after Ctrl-C.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except RobotPolicyError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"{PROGRAM}: {_missing_module(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{PROGRAM}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing may be flushed into the pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        print(f"{PROGRAM} {__version__}")
        return 0
    name, rest = _split(arguments)
    command = COMMANDS[name]
    module = importlib.import_module(command.module)
    config = _parse(getattr(module, command.config), rest, name, command.help)
    return getattr(module, command.run)(config)


def _split(arguments: list[str]) -> tuple[str, list[str]]:
    for words in (2, 1):
        name = " ".join(arguments[:words])
        if name in COMMANDS:
            return name, arguments[words:]
    prefix = f"{arguments[0]} "
    group = [name for name in COMMANDS if name.startswith(prefix)]
    if group:
        unknown = " ".join(arguments[:2])
        raise UnknownNameError.of("command", unknown, group)
    raise UnknownNameError.of("command", arguments[0], COMMANDS)


def _parse(config: Any, arguments: list[str], name: str, description: str) -> Any:
    if not isinstance(config, type):
        return config(arguments, prog=f"{PROGRAM} {name}")
    import tyro  # over 0.2 s, and not needed for the overview

    return tyro.cli(config, args=arguments, prog=f"{PROGRAM} {name}", description=description)


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND [OPTIONS]",
            "",
            "Learn manipulation policies and run them on an arm.",
            "",
            "commands:",
            *lines,
            "",
            f"{PROGRAM} COMMAND --help shows the options of a command.",
        ]
    )


_EXTRAS = {
    "torch": "train",
    "diffusers": "train",
    "safetensors": "train",
    "tensorboard": "train",
    "psutil": "train",
    "wandb": "wandb",
    "robosuite": "sim",
    "mujoco": "sim",
    "rclpy": "ros",
    "lerobot": "lerobot",
    "robomimic": "robomimic",
    "cv2": "calibration",
    "scipy": "calibration",
    "reportlab": "calibration",
    "open3d": "depth",
    "rerun": "rerun",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "mcap": "bags",
    "rosbags": "bags",
    "websockets": "serving",
    "msgpack": "serving",
    "fastapi": "teleop",
    "uvicorn": "teleop",
    "evdev": "teleop",
}


def _missing_module(error: ModuleNotFoundError) -> str:
    name = (error.name or "").partition(".")[0]
    if name not in _EXTRAS:
        raise error
    extra = _EXTRAS[name]
    return f"{name} is not installed; the extra {extra!r} brings it: uv pip install -e '.[{extra}]'"


if __name__ == "__main__":
    sys.exit(main())
