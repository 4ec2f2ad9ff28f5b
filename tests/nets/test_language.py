"""Instructions as vectors."""

import os
import subprocess
import sys

import numpy as np
import pytest

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.nets.language import HashingTextEncoder, make_text_encoder

_ASK = """
from robot_policy.nets.language import HashingTextEncoder
print(*HashingTextEncoder(8).encode(["lift the cube"])[0])
"""


def test_a_text_has_the_same_vector_everywhere() -> None:
    """Hashing must not depend on the process, as Python's own hash of texts does."""
    vector = HashingTextEncoder(8).encode(["lift the cube"])[0]
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    np.testing.assert_allclose(vector, HashingTextEncoder(8).encode(["Lift  the cube!"])[0])
    other = subprocess.run(
        [sys.executable, "-c", _ASK],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )
    np.testing.assert_allclose(vector, np.array(other.stdout.split(), float), atol=1e-6)


def test_texts_that_share_words_are_closer() -> None:
    encoder = HashingTextEncoder(256)
    a, b, c = encoder.encode(["lift the red cube", "lift the blue cube", "open a drawer"])
    assert a @ b > a @ c + 0.2


def test_no_text_is_the_zero_vector() -> None:
    encoder = HashingTextEncoder(16)
    assert not encoder.encode([""]).any()
    assert encoder.encode([]).shape == (0, 16)


def test_bad_encoders_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown text encoder 'clip'"):
        make_text_encoder("clip", features=64)
    with pytest.raises(ConfigError, match=">= 8"):
        make_text_encoder("hashing", features=2)
