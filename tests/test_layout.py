"""The shape of the repository: what must be where, and what must not be anywhere."""

import ast
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("robot_policy", "sim", "calibration")


def python_files() -> list[Path]:
    ros = ROOT / "ros2_ws/src/robot_policy_ros/robot_policy_ros"
    return [f for top in (*(ROOT / p for p in PACKAGES), ros) for f in top.rglob("*.py")]


def test_datasets_is_a_folder_and_not_a_package() -> None:
    """A local package of that name would shadow Hugging Face's, which lerobot imports."""
    assert not (ROOT / "datasets/__init__.py").exists()
    spec = importlib.util.find_spec("datasets")
    if spec is not None and spec.origin is not None:
        assert not Path(spec.origin).is_relative_to(ROOT / "datasets")


def test_the_wheel_holds_only_the_declared_packages() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert config["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(PACKAGES)


def test_the_ros_package_does_not_shadow_the_library() -> None:
    assert not (ROOT / "ros2_ws/src/robot_policy").exists()


def test_no_catch_all_modules() -> None:
    assert [f for f in python_files() if f.stem in ("utils", "common", "helpers", "misc")] == []


def test_no_pickle() -> None:
    """Nothing that a file or a socket can reach unpickles."""
    offenders = []
    for file in python_files():
        for node in ast.walk(ast.parse(file.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                # Checkpoints of another library are read by torch's reader that runs nothing.
                options = [f"{k.arg}={ast.unparse(k.value)}" for k in node.keywords]
                names = [] if "weights_only=True" in options else ["pickle"]
            offenders += [f"{file}: {n}" for n in names if n in ("pickle", "dill", "cloudpickle")]
    assert offenders == []


def test_files_stay_short() -> None:
    """A file over 500 lines needs a reason; none has one yet."""
    assert [f for f in python_files() if len(f.read_text().splitlines()) > 500] == []


@pytest.mark.parametrize("packages", ["robot_policy.core, robot_policy.runtime, robot_policy.data"])
def test_the_control_path_imports_no_training_stack(packages: str) -> None:
    modules = [
        ".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for part in ("core", "runtime")
        for f in (ROOT / "robot_policy" / part).rglob("*.py")
    ]
    script = (
        f"import sys, {packages}, {', '.join(modules)}\n"
        "heavy = {'torch', 'rclpy', 'mujoco', 'robosuite', 'lerobot', 'diffusers'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert output.stdout.strip() == "[]"
