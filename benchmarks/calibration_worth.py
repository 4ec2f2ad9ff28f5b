"""Cells of the calibration benchmark: what a calibration is worth to a policy that uses the camera.

python benchmarks/calibration_worth.py moved --checkpoint RUN --episodes 50 --json FILE

The policy is a diffusion policy trained on demonstrations of `lift` with the cube's position. In
place of that it is given what a calibrated depth camera beside the arm measures: red pixels, their
depth, and base_T_camera. While the fingers hold the cube, which hides it, it is taken to move with
the hand. In every episode the camera is moved 3 cm in another direction:

    exact        the simulator's own positions, no camera
    calibrated   the camera where its calibration says
    moved        moved, the calibration left as it was
    recalibrated moved, then found again by the arm it sees, without a board

The same seeds give the same starts, directions and noise in all of them. All calibrations are
measured by `refine_from_depth`, none is the truth.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import calibration_path  # noqa: F401
import numpy as np
from calibration_depth import as_measured, displaced, take_views
from calibration_records import measured
from jobs import Job
from measure import ROOT, Target
from numpy.typing import NDArray

from calibration.depth_image import points_of
from calibration.depth_refinement import refine_from_depth
from calibration.pose_difference import pose_difference
from robot_policy.checkpoint import load_policy
from robot_policy.core.files import read_json, write_json
from robot_policy.core.geometry import inverse, rot6d_from_matrix, transform
from robot_policy.core.observation import Observation
from robot_policy.core.robot import load_robot
from robot_policy.runtime.agent import Agent
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.inline_worker import InlineWorker
from robot_policy.runtime.planning import Planner
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from sim.envs.lift import TASK
from sim.envs.robosuite_arm import RobosuiteArm
from sim.evaluate import FIRST_SEED
from sim.registry import make_environment
from sim.robot_surface import TwinSurface
from sim.scripted.scene import Scene
from sim.statistics import PairedOutcomes, paired_difference_interval, wilson_interval

type Array = NDArray[np.floating]

FOLDER = ROOT / "runs" / "calibration" / "worth"
AGAIN = "python benchmarks/calibration.py --only worth"
CELLS = ("exact", "calibrated", "moved", "recalibrated")
EPISODES = 50
MOVED_MM = 30.0
GUESS_MM, GUESS_DEG = 10.0, 1.0
"""How far off the first guess of the first calibration is."""
MAX_STEPS = 60
VIEWS = 8
CAMERA = "agentview"
FINE = {"height": 480, "width": 640}
"""Of the images that the cube is looked for in."""
DEMONSTRATIONS, TRAIN_STEPS = 200, 2000
_CUBE_HALF_M = 0.021
_TOP_M = 0.006
_EVERY = 8
"""Control steps from one measurement to the next: as often as the policy plans."""
_FEWEST = 12
_UNHIDDEN = 0.85
"""Share of the red pixels seen so far below which the hand is in front of the cube."""
_OPEN = 0.15
_HELD_M = 0.03


class CubeTracker:
    """Measures the cube in colour and depth images, as `base_T_camera` places them.

    Args:
        arm: The twin.
        base_T_camera: Where the camera is said to be, (4, 4).
        rng: Noise of the depth.
    """

    def __init__(self, arm: RobosuiteArm, base_T_camera: Array, rng: np.random.Generator) -> None:
        self._arm = arm
        self._base_T_camera = base_T_camera
        self._rng = rng
        self._cube = np.zeros(3)
        self._in_hand: Array | None = None
        self._most_red = 0
        self._count = 0

    def seen(self, observation: Observation) -> Observation:
        """Puts the measured cube in place of the simulator's; it is taken to lie straight."""
        scene = Scene.read(observation, TASK)
        hand = transform(scene.ee.R, scene.ee.position)
        near = np.linalg.norm(self._cube - scene.ee.position) < _HELD_M
        if scene.closed > _OPEN and near:
            if self._in_hand is None:
                self._in_hand = inverse(hand) @ np.append(self._cube, 1.0)
            self._cube = (hand @ self._in_hand)[:3]
        else:
            self._in_hand = None
            measured = self._measured() if self._count % _EVERY == 0 else None
            self._cube = self._cube if measured is None else measured
        self._count += 1
        state = [self._cube, rot6d_from_matrix(np.eye(3)), self._cube - scene.ee.position]
        return replace(observation, environment_state=np.concatenate(state).astype(np.float32))

    def _measured(self) -> Array | None:
        """(3,) the middle of the cube [m], from the top of what is red; None if it is hidden."""
        r, g, b = np.moveaxis(self._arm.render(CAMERA, **FINE).astype(np.float64), -1, 0)
        red = (r > 60.0) & (r > 2.0 * g) & (r > 2.0 * b)
        self._most_red = max(self._most_red, int(red.sum()))
        depth_m = as_measured(self._arm.render_depth(CAMERA, **FINE), self._rng) / 1000.0
        info = self._arm.camera_info(CAMERA, **FINE)
        points = points_of(depth_m, info.intrinsics, mask=red).xyz
        if len(points) < _FEWEST or red.sum() < _UNHIDDEN * self._most_red:
            return None
        there = points @ self._base_T_camera[:3, :3].T + self._base_T_camera[:3, 3]
        top_m = float(np.quantile(there[:, 2], 0.9))
        top = there[there[:, 2] > top_m - _TOP_M]
        low, high = np.quantile(top[:, :2], (0.03, 0.97), axis=0)
        return np.array([*(low + high) / 2, top_m - _CUBE_HALF_M])


def run(cell: str, checkpoint: Path, episodes: int, kept: Path) -> dict[str, Any]:
    """Measures one cell."""
    import torch

    torch.set_num_threads(1)
    policy = load_policy(checkpoint)
    robot = load_robot(policy.spec.robot)
    arm = make_environment("lift", robot=policy.spec.robot)
    surface = TwinSurface(arm)
    worker = InlineWorker(Planner(policy, num_samples=1))
    agent = Agent(worker, robot, config=AgentConfig(), safety=SafetyFilter.from_robot(robot))
    home = _beside_the_table()
    said = _calibrated(arm, surface, home)

    def measure(seed: int) -> dict[str, Any]:
        camera = _camera(cell, arm, surface, home, said, seed)
        arm.reset(seed)
        tracker = CubeTracker(arm, camera["said"], np.random.default_rng([seed, 2]))
        outcome = _episode(agent, arm, None if cell == "exact" else tracker, seed)
        print(seed, outcome, flush=True)
        return outcome | camera["off"]

    outcomes = measured(kept, range(FIRST_SEED, FIRST_SEED + episodes), measure)
    arm.close()
    solved = sum(outcome["success"] for outcome in outcomes)
    off = {name: float(np.median([o[name] for o in outcomes])) for name in ("off_mm", "off_deg")}
    return {
        "episodes": episodes,
        "seeds": [FIRST_SEED, FIRST_SEED + episodes - 1],
        "successes": solved,
        "success_rate": solved / episodes,
        "ci95": list(wilson_interval(solved, episodes)),
        "solved": [outcome["success"] for outcome in outcomes],
        "calibration_off_median": off,
        "cube_off_mm_median": _median([o["cube_off_mm"] for o in outcomes]),
        "policy": f"diffusion (MLP), {DEMONSTRATIONS} demonstrations, {TRAIN_STEPS} steps",
    }


def _beside_the_table() -> Array:
    """base_T_camera (4, 4) of a camera that sees the arm and where the cube may lie."""
    eye, target = np.array([1.1, 0.35, 0.55]), np.array([0.42, 0.0, 0.08])
    z = (target - eye) / np.linalg.norm(target - eye)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    return transform(np.stack([x, np.cross(z, x), z], axis=1), eye)


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _calibrated(arm: RobosuiteArm, surface: TwinSurface, home: Array) -> Array:
    """Where the camera is said to be before anything moves: measured once, (4, 4)."""
    rng = np.random.default_rng([FIRST_SEED, 3])
    arm.reset(FIRST_SEED)
    arm.move_camera(CAMERA, home)
    views = take_views(arm, surface, rng, count=VIEWS)
    guess = displaced(home, rng, mm=GUESS_MM, deg=GUESS_DEG)
    return refine_from_depth(views, guess).transform("base_T_camera")


def _camera(
    cell: str, arm: RobosuiteArm, surface: TwinSurface, home: Array, said: Array, seed: int
) -> dict[str, Any]:
    """Moves the camera and calibrates again, as far as the cell says."""
    rng = np.random.default_rng([seed, 1])
    truth = displaced(home, rng, mm=MOVED_MM, deg=0.0)
    if cell in ("exact", "calibrated"):
        truth = home
    arm.reset(seed)
    arm.move_camera(CAMERA, truth)
    if cell == "recalibrated":
        views = take_views(arm, surface, rng, count=VIEWS)
        said = refine_from_depth(views, said).transform("base_T_camera")
    mm, deg = pose_difference(truth, said)
    return {"said": said, "off": {"off_mm": mm, "off_deg": deg}}


def _episode(
    agent: Agent, arm: RobosuiteArm, tracker: CubeTracker | None, seed: int
) -> dict[str, Any]:
    agent.reset(seed=seed)
    observation = arm.reset(seed)
    off_mm: float | None = None
    steps, success = 0, False
    while steps < MAX_STEPS:
        given = observation if tracker is None else tracker.seen(observation)
        if steps == 0:
            off_mm = _cube_off_mm(observation, given)
        step = arm.step(agent.act(given).action)
        observation, success, steps = step.observation, step.success, steps + 1
        if step.done:
            break
    return {"success": bool(success), "steps": steps, "cube_off_mm": off_mm}


def _cube_off_mm(truth: Observation, given: Observation) -> float:
    a, b = (Scene.read(o, TASK).objects["cube"].position for o in (truth, given))
    return 1e3 * float(np.linalg.norm(a - b))


def jobs() -> list[Job]:
    """Demonstrations, training, then the cells."""
    dataset, trained = FOLDER / "dataset", FOLDER / "train"
    listed = [
        Job(
            "worth-demonstrations",
            (
                *("collect", "lift", "--output", _relative(dataset)),
                *("--episodes", str(DEMONSTRATIONS)),
                *("--json", _relative(FOLDER / "dataset.json")),
            ),
            FOLDER / "dataset.json",
            resume=("--resume",),
            started=dataset / "meta" / "info.json",
        ),
        Job(
            "worth-train",
            (
                *("train", "diffusion", "--dataset", _relative(dataset)),
                *("--output", _relative(trained), "--steps", str(TRAIN_STEPS)),
                *("--policy.backbone", "mlp", "--json", _relative(FOLDER / "train.json")),
            ),
            FOLDER / "train.json",
            needs=("worth-demonstrations",),
            resume=("--resume",),
            started=trained / "checkpoints" / "last",
        ),
    ]
    return listed + [
        Job(
            f"worth-{cell}",
            (
                *("benchmarks/calibration_worth.py", cell, "--checkpoint", _relative(trained)),
                *("--episodes", str(EPISODES), "--json", _relative(_result(cell))),
            ),
            _result(cell),
            needs=("worth-train",),
        )
        for cell in CELLS
    ]


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    return [
        {"cell": f"worth-{cell}"} | read_json(_result(cell))
        for cell in CELLS
        if _result(cell).exists()
    ]


def targets(known: dict[str, dict[str, Any]]) -> list[Target]:
    """How much success recalibration gives back; it holds if that is more than chance."""
    moved, again = (known.get(f"worth-{cell}") for cell in ("moved", "recalibrated"))
    if moved is None or again is None:
        return [_target("not measured", None, holds=False)]
    outcomes = PairedOutcomes.count(moved["solved"], again["solved"])
    low, high = paired_difference_interval(outcomes)
    said = ", ".join(
        f"{cell} {100 * row['success_rate']:.0f} %"
        for cell in CELLS
        if (row := known.get(f"worth-{cell}")) is not None
    )
    interval = f"95 % interval of the difference {100 * low:.0f} to {100 * high:.0f}"
    return [_target(f"{said}; {interval}", 100 * outcomes.difference, holds=low > 0)]


def _target(said: str, measured: float | None, *, holds: bool) -> Target:
    return Target(
        "worth_of_recalibration",
        "success of a policy that sees through a camera moved by 3 cm, after recalibration minus "
        f"before ({said})",
        measured,
        "% points",
        holds,
        AGAIN,
    )


def _result(cell: str) -> Path:
    return FOLDER / f"{cell}.json"


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def main() -> int:
    """Writes the row of one cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cell", choices=CELLS)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    kept = arguments.json.with_suffix(".jsonl")
    row = run(arguments.cell, arguments.checkpoint, arguments.episodes, kept)
    write_json(arguments.json, row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
