"""Tests decode into a cache of their own, and share the cores where they run side by side."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

import calibration  # noqa: F401, before benchmarks/calibration.py can be found in its place
from robot_policy.data.cache.location import FOLDER_VARIABLE

# How long an example takes says how busy the machine is, and nothing else.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported: by default each worker, and what it starts, would take all cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file run in one process, because they share what takes long to make.

    Tests that need ROS run one after the other, and first: they are about time, they would disturb
    each other, and together they take the longest.
    """
    for item in items:
        group = "ros" if item.get_closest_marker("ros") else item.path.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.get_closest_marker("ros") is None)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield
