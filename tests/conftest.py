"""Tests decode into a cache of their own."""

from collections.abc import Iterator

import pytest

import calibration  # noqa: F401, before benchmarks/calibration.py can be found in its place
from robot_policy.data.cache.location import FOLDER_VARIABLE


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield
