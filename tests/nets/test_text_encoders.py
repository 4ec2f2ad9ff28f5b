"""Text encoders: what each promises, their cache, and folders that are none."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.nets.language import (
    HashingTextEncoder,
    SentenceAndWords,
    TextEncoder,
    make_text_encoder,
)
from robot_policy.nets.openclip_folder import OpenClipFolder
from robot_policy.nets.text_cache import CachedTextEncoder

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def cosine(encoder: TextEncoder, a: str, b: str) -> float:
    x, y = encoder.encode([a, b])
    return float(x @ y)


@pytest.mark.parametrize("name", ["hashing", "lexical"])
@settings(deadline=None)
@given(text=st.text(max_size=40))
def test_vectors_have_length_one_and_do_not_depend_on_company(name: str, text: str) -> None:
    encoder = make_text_encoder(name, features=64)
    alone, together = encoder.encode([text])[0], encoder.encode(["other", text])[1]
    np.testing.assert_array_equal(alone, together)
    assert np.linalg.norm(alone) == pytest.approx(1.0, abs=1e-5) or not alone.any()


def test_the_packaged_encoder_knows_synonyms_and_order() -> None:
    encoder = make_text_encoder("lexical", features=256)
    said = "stack the red cube on the green cube"
    same = cosine(encoder, said, "please pile the red block onto the green block")
    assert same > 0.95
    assert same > cosine(encoder, said, "stack the green cube on the red cube") + 0.1
    assert cosine(encoder, said, "push the yellow cylinder to the left") < 0.4


def test_a_sentence_comes_before_its_words() -> None:
    encoder = HashingTextEncoder(64)
    encoded = SentenceAndWords(encoder, words=4).encode(["lift it", "a b c d e f"])
    assert encoded.shape == (2, 5, 64)
    np.testing.assert_array_equal(encoded[0, :3], encoder.encode(["lift it", "lift", "it"]))
    assert not encoded[0, 3:].any()
    with pytest.raises(ConfigError, match="no instruction"):
        SentenceAndWords(encoder, words=4).encode(["..."])


def test_an_encoder_is_asked_once_and_built_only_when_needed(tmp_path: Path) -> None:
    asked: list[str] = []

    class Counting(HashingTextEncoder):
        def encode(self, texts: Any) -> Any:
            asked.extend(texts)
            return super().encode(texts)

    def cached() -> CachedTextEncoder:
        return CachedTextEncoder(lambda: Counting(16), features=16, key="k", folder=tmp_path)

    first = cached().encode(["a", "b", "a"])
    again = cached().encode(["b", "c", "a"])
    assert asked == ["a", "b", "c"]
    np.testing.assert_array_equal(first[1], again[0])
    other = CachedTextEncoder(lambda: Counting(16), features=16, key="x", folder=tmp_path)
    other.encode(["a"])
    assert asked[-1] == "a"  # another model's vectors are not taken
    for file in tmp_path.rglob("*.npy"):
        file.write_bytes(b"cut")
    np.testing.assert_array_equal(cached().encode(["b"])[0], first[1])


def test_unknown_encoders_and_wrong_sizes_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="hashing, lexical, openclip"):
        make_text_encoder("bert", features=64)
    with pytest.raises(ConfigError, match=">= 32"):
        make_text_encoder("lexical", features=8)


def clip_folder(folder: Path, *, licence: str = "mit", **changes: Any) -> Path:
    folder.mkdir()
    config = {"model_cfg": {**TINY, **changes}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
    return folder


def test_folders_that_do_not_suit_are_refused_in_one_line(tmp_path: Path) -> None:
    cases = {
        "no such folder": tmp_path / "missing",
        "no OpenCLIP model": tmp_path,
        "no weights": clip_folder(tmp_path / "empty"),
        "another architecture": clip_folder(
            tmp_path / "hf", text_cfg={**TINY["text_cfg"], "hf_model_name": "x"}
        ),
        "not the configuration": clip_folder(tmp_path / "odd", embed_dim="many"),
    }
    for message, folder in cases.items():
        with pytest.raises(ConfigError, match=message) as caught:
            OpenClipFolder.open(folder)
        assert "\n" not in str(caught.value)
    for place, licence in (("other", "apple-amlr"), ("DFN5B-CLIP", "mit"), ("nc", "cc-by-nc-4.0")):
        folder = clip_folder(tmp_path / place, licence=licence)
        (folder / "model.safetensors").touch()
        with pytest.raises(ConfigError, match="research"):
            OpenClipFolder.open(folder)


@pytest.mark.slow
def test_the_text_tower_of_a_model_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_clip = pytest.importorskip("open_clip")
    from safetensors.torch import save_file

    monkeypatch.setenv("ROBOT_POLICY_CACHE", str(tmp_path / "cache"))
    folder = clip_folder(tmp_path / "clip")
    model = open_clip.CLIP(**TINY)
    state = {k: v.clone().contiguous() for k, v in model.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    name = f"openclip:{folder}"
    encoder = make_text_encoder(name, features=16)
    encoded = encoder.encode(["lift the cube", "push it"])
    assert np.linalg.norm(encoded, axis=1) == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(ConfigError, match="another length"):
        make_text_encoder(name, features=32)
    opened = OpenClipFolder.open(folder)
    wider = {**TINY, "embed_dim": 24}
    with pytest.raises(ConfigError, match="another architecture, or damaged"):
        dataclasses.replace(opened, config=wider).load()
