"""Datasets by the writers of other libraries: one scripted task in robosuite, written by each.

robosuite records simulator states, robomimic makes observations of them by its own scripts,
lerobot writes these frame by frame, rosbags and mcap write them as a robot's messages.
"""

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import load_robot
from sim.rendering import choose_backend

EPISODES = 10
RATE_HZ = 20
CAMERA = "agentview"
IMAGE_SIZE = 84
TASK = "lift the cube"
_HOVER_M, _LIFT_M, _NEAR_M = 0.06, 0.12, 0.012
_STEP_M = 0.05
"""What robosuite's controller makes of the largest command."""
_BASE_IN_WORLD = np.array([-0.56, 0.0, 0.912])
_START_NS = 1_700_000_000_000_000_000
_PAUSE_NS = 3_000_000_000


def make_robosuite(folder: Path) -> Path:
    """Lets robosuite record the task by its own wrapper, and gather the records by its script."""
    import robosuite
    from robosuite.scripts.collect_human_demonstrations import gather_demonstrations_as_hdf5
    from robosuite.wrappers import DataCollectionWrapper

    config = robosuite.load_composite_controller_config(controller="BASIC", robot="Panda")
    settings = {"env_name": "Lift", "robots": ["Panda"], "controller_configs": config}
    environment = robosuite.make(
        **settings,
        has_renderer=False,
        has_offscreen_renderer=False,
        use_camera_obs=False,
        control_freq=RATE_HZ,
        ignore_done=True,
        seed=0,
    )
    recorder = DataCollectionWrapper(environment, str(folder / "episodes"))
    for _ in range(EPISODES):
        observation = recorder.reset()
        for _ in range(200):
            observation, *_ = recorder.step(_expert(observation))
            if recorder.successful and observation["cube_pos"][2] > 0.8 + _LIFT_M:
                break
    recorder.close()
    gather_demonstrations_as_hdf5(str(folder / "episodes"), str(folder), json.dumps(settings))
    return folder / "demo.hdf5"


def _expert(observation: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Goes above the cube, down, closes, and lifts."""
    hand, cube = observation["robot0_eef_pos"], observation["cube_pos"]
    beside = np.linalg.norm((hand - cube)[:2])
    opening = observation["robot0_gripper_qpos"][0]
    holds = beside < 2 * _NEAR_M and hand[2] - cube[2] < 2 * _NEAR_M
    if holds:
        up_m, gripper = _LIFT_M if opening < 0.024 else 0.0, 1.0
    else:
        up_m, gripper = _HOVER_M if beside > _NEAR_M else 0.0, -1.0
    goal = cube + np.array([0, 0, up_m])
    move = np.clip((goal - hand) / _STEP_M, -1, 1)
    return np.array([*move, 0, 0, 0, gripper])


def make_robomimic(folder: Path, raw: Path) -> Path:
    """Lets robomimic's own scripts add what it needs, observations and images of all states."""
    choose_backend()
    copy = folder / "demo.hdf5"
    copy.write_bytes(raw.read_bytes())
    np.random.seed(0)  # its split draws from it
    _script("robomimic.scripts.conversion.convert_robosuite", "--dataset", copy)
    _script(
        "robomimic.scripts.dataset_states_to_obs",
        *("--dataset", copy, "--output_name", "image.hdf5", "--done_mode", "2"),
        *("--camera_names", CAMERA, "--camera_height", IMAGE_SIZE, "--camera_width", IMAGE_SIZE),
    )
    return folder / "image.hdf5"


def _script(module: str, *arguments: object) -> None:
    """Runs a script of robomimic.

    It names two packages of MuJoCo before it was free: for the name of an error, and to find a GPU.
    """
    sys.modules.setdefault("mujoco_py", ModuleType("mujoco_py"))
    probe = ModuleType("egl_probe")
    vars(probe)["get_available_devices"] = list
    sys.modules.setdefault("egl_probe", probe)
    before = sys.argv
    sys.argv = [module, *map(str, arguments)]
    try:
        runpy.run_module(module, run_name="__main__")
    finally:
        sys.argv = before


def make_lerobot(folder: Path, source: Path) -> Path:
    """Lets lerobot write what robomimic observed, frame by frame, video and all."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    names = [f"joint_{i}" for i in range(7)]
    motion = ["x", "y", "z", "rx", "ry", "rz"]
    shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
    features = {
        "observation.state": {"dtype": "float32", "shape": (8,), "names": [*names, "gripper.pos"]},
        "action": {"dtype": "float32", "shape": (7,), "names": [*motion, "gripper.pos"]},
        f"observation.images.{CAMERA}": {
            "dtype": "video",
            "shape": shape,
            "names": ["height", "width", "channels"],
        },
    }
    dataset = LeRobotDataset.create(
        "local/lift", fps=RATE_HZ, features=features, root=folder / "set", robot_type="panda"
    )
    for demo in demos(source):
        opening = demo["gripper"][:, :1]
        state = np.concatenate([demo["joints"], 1 - opening / 0.04], axis=1)
        for t in range(len(state)):
            dataset.add_frame(
                {
                    "observation.state": state[t].astype(np.float32),
                    "action": demo["actions"][t].astype(np.float32),
                    f"observation.images.{CAMERA}": demo["images"][t],
                    "task": TASK,
                }
            )
        dataset.save_episode()
    dataset.finalize()
    return folder / "set"


def demos(source: Path) -> Iterator[dict[str, NDArray[Any]]]:
    """Yields what robomimic's file holds of every demonstration, in order."""
    with h5py.File(source) as file:
        data: Any = file["data"]
        for name in sorted(data, key=lambda name: int(name.rpartition("_")[2])):
            demo = data[name]
            yield {
                "actions": demo["actions"][()],
                "joints": demo["obs/robot0_joint_pos"][()],
                "gripper": demo["obs/robot0_gripper_qpos"][()],
                "position": demo["obs/robot0_eef_pos"][()] - _BASE_IN_WORLD,
                "quat_xyzw": demo["obs/robot0_eef_quat"][()],
                "images": demo[f"obs/{CAMERA}_image"][()],
            }


type Event = tuple[int, str, str, dict[str, Any]]
"""When it was received [ns], topic, message type, fields."""


def events(source: Path) -> Iterator[Event]:
    """Yields the messages of a Panda that does what robomimic's file tells, in order of arrival.

    Every message arrives some milliseconds after its stamp, and not always equally late.
    """
    rng = np.random.default_rng(0)
    robot = load_robot("panda_twin")
    names = [*robot.joint_names, robot.gripper.joint]
    start_ns = _START_NS
    for demo in demos(source):
        listed: list[Event] = []
        for t in range(len(demo["actions"])):
            stamp_ns = start_ns + t * 1_000_000_000 // RATE_HZ + int(rng.integers(0, 500_000))
            late_ns = rng.integers(500_000, 4_000_000, 5).tolist()
            positions = [*demo["joints"][t], demo["gripper"][t][0]]
            motion = demo["actions"][t][:6] * ([_STEP_M] * 3 + [0.5] * 3) * RATE_HZ
            fraction = (demo["actions"][t][6] + 1) / 2
            before_ns = stamp_ns - int(rng.integers(2_000_000, 9_000_000))
            listed += [
                (before_ns + late_ns[0], f"/{CAMERA}/image_raw", *_image(demo, t, before_ns)),
                (stamp_ns + late_ns[1], "/ee_pose", *_pose(demo, t, stamp_ns)),
                (stamp_ns + late_ns[2], "/joint_states", *_joints(names, positions, stamp_ns)),
                (
                    stamp_ns + 6_000_000 + late_ns[3],
                    "/servo/delta_twist_cmds",
                    *_twist(motion, stamp_ns + 6_000_000),
                ),
                (
                    stamp_ns + 6_000_000 + late_ns[4],
                    "/gripper_controller/commands",
                    "std_msgs/msg/Float64MultiArray",
                    {
                        "layout": {"dim": [], "data_offset": 0},
                        "data": [float(0.04 * (1 - fraction))],
                    },
                ),
            ]
        yield from sorted(listed, key=lambda event: event[0])
        start_ns += len(demo["actions"]) * 1_000_000_000 // RATE_HZ + _PAUSE_NS


def _header(stamp_ns: int, frame: str) -> dict[str, Any]:
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    return {"stamp": {"sec": seconds, "nanosec": nanoseconds}, "frame_id": frame}


def _xyz(values: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip("xyz", map(float, values), strict=True))


def _image(demo: dict[str, NDArray[Any]], t: int, stamp_ns: int) -> tuple[str, dict[str, Any]]:
    return "sensor_msgs/msg/Image", {
        "header": _header(stamp_ns, f"{CAMERA}_optical_frame"),
        "height": IMAGE_SIZE,
        "width": IMAGE_SIZE,
        "encoding": "rgb8",
        "is_bigendian": 0,
        "step": 3 * IMAGE_SIZE,
        "data": demo["images"][t].reshape(-1),
    }


def _pose(demo: dict[str, NDArray[Any]], t: int, stamp_ns: int) -> tuple[str, dict[str, Any]]:
    x, y, z, w = map(float, demo["quat_xyzw"][t])
    return "geometry_msgs/msg/PoseStamped", {
        "header": _header(stamp_ns, "panda_link0"),
        "pose": {
            "position": _xyz(demo["position"][t]),
            "orientation": {"x": x, "y": y, "z": z, "w": w},
        },
    }


def _joints(names: list[str], positions: list[float], stamp_ns: int) -> tuple[str, dict[str, Any]]:
    return "sensor_msgs/msg/JointState", {
        "header": _header(stamp_ns, ""),
        "name": names,
        "position": [float(position) for position in positions],
        "velocity": [],
        "effort": [],
    }


def _twist(motion: NDArray[np.float64], stamp_ns: int) -> tuple[str, dict[str, Any]]:
    return "geometry_msgs/msg/TwistStamped", {
        "header": _header(stamp_ns, "panda_link0"),
        "twist": {"linear": _xyz(motion[:3]), "angular": _xyz(motion[3:])},
    }


def make_rosbags(folder: Path, source: Path) -> Path:
    """Lets rosbags write the messages as a bag of two kinds of file: MCAP and metadata.yaml."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    path = folder / "bag"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[str, Any] = {}
        for at_ns, topic, kind, fields in events(source):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            message = _message(store, kind, fields)
            writer.write(connections[topic], at_ns, store.serialize_cdr(message, kind))
    return path


_PARTS = {
    "header": "std_msgs/msg/Header",
    "stamp": "builtin_interfaces/msg/Time",
    "pose": "geometry_msgs/msg/Pose",
    "position": "geometry_msgs/msg/Point",
    "orientation": "geometry_msgs/msg/Quaternion",
    "twist": "geometry_msgs/msg/Twist",
    "linear": "geometry_msgs/msg/Vector3",
    "angular": "geometry_msgs/msg/Vector3",
    "layout": "std_msgs/msg/MultiArrayLayout",
}


def _message(store: Any, kind: str, fields: dict[str, Any]) -> Any:
    """The message as an object of rosbags' types."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            value = _message(store, _PARTS[name], value)
        elif isinstance(value, list) and not (value and isinstance(value[0], str)):
            value = value if name == "dim" else np.array(value, dtype=np.float64)
        made[name] = value
    return store.types[kind](**made)


def make_mcap(folder: Path, source: Path) -> Path:
    """Lets mcap's writer for ROS 2 write the messages into one file, without metadata."""
    from mcap_ros2.writer import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    path = folder / "robot.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream)
        schemas: dict[str, Any] = {}
        for number, (at_ns, topic, kind, fields) in enumerate(events(source)):
            if kind not in schemas:
                text, _ = store.generate_msgdef(kind, ros_version=2)
                schemas[kind] = writer.register_msgdef(kind, text)
            if "data" in fields:
                fields = {**fields, "data": np.asarray(fields["data"]).tolist()}
            writer.write_message(topic, schemas[kind], fields, at_ns, at_ns, number)
        writer.finish()
    return path
