"""A small arm for tests that need a robot's surface."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def boxes() -> ModuleType:
    """The module beside this file; tests are no package that it could be imported from."""
    path = Path(__file__).with_name("arm_of_boxes.py")
    spec = importlib.util.spec_from_file_location("arm_of_boxes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
