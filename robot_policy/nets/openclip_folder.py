"""OpenCLIP models in local folders: what must be in them, and under what licence."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_policy.core.errors import ConfigError

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "model.safetensors")
"""No pickled weights: they would run code when they are loaded."""
PERMISSIVE = ("mit", "apache-2.0", "bsd-3-clause", "bsd-2-clause", "cc-by-4.0", "cc0-1.0")
_RESEARCH_ONLY = re.compile(r"dfn|apple[-_/]|amlr", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OpenClipFolder:
    """A folder as OpenCLIP writes it for a model hub.

    Attributes:
        path: The folder.
        config: Its ``model_cfg``.
        weights: File of the weights.
    """

    path: Path
    config: dict[str, Any]
    weights: Path

    @classmethod
    def open(cls, path: str | Path) -> "OpenClipFolder":
        """Looks at a folder; loads no weights.

        Raises:
            ConfigError: If it is none, has no weights, is of another architecture, or its licence
                does not permit use beyond research.
        """
        folder = Path(path).expanduser()
        if not str(path) or not folder.is_dir():
            raise ConfigError(
                "no such folder of an OpenCLIP model", where=f"openclip:{path}", expected="a folder"
            )
        data = _config(folder)
        weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
        if weights is None:
            raise ConfigError("there are no weights", where=folder, expected=" or ".join(WEIGHTS))
        _check_licence(folder, data)
        return cls(folder, data["model_cfg"], weights)

    @property
    def embedding(self) -> int:
        """D, length of its vectors."""
        return int(self.config["embed_dim"])

    @property
    def image_size(self) -> int:
        """Height and width of the images that its vision tower takes [px]."""
        return int(self.config["vision_cfg"]["image_size"])

    @property
    def key(self) -> str:
        """What its outputs depend on, without reading all of the weights."""
        facts = self.weights.stat()
        return f"{json.dumps(self.config, sort_keys=True)} {facts.st_size} {facts.st_mtime_ns}"

    def load(self) -> tuple[Any, Any]:
        """Returns the model and its tokenizer.

        Raises:
            ConfigError: If OpenCLIP is not installed, or the weights are of another architecture.
        """
        try:
            import open_clip
        except ImportError as error:
            raise ConfigError(
                "OpenCLIP is not installed", hint="uv pip install -e '.[language]'"
            ) from error
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            model = open_clip.CLIP(**_arguments(self.config))
            model.load_state_dict(load_file(self.weights))
        except (RuntimeError, SafetensorError, TypeError, KeyError) as error:
            raise ConfigError(
                "weights of another architecture, or damaged",
                where=self.weights,
                expected=f"what {CONFIG} says",
                got=str(error)[:200],
            ) from error
        text = self.config["text_cfg"]
        tokenizer = open_clip.SimpleTokenizer(context_length=int(text.get("context_length", 77)))
        return model.eval().requires_grad_(False), tokenizer


def _config(folder: Path) -> dict[str, Any]:
    try:
        data = json.loads((folder / CONFIG).read_text())
        text, vision = data["model_cfg"]["text_cfg"], data["model_cfg"]["vision_cfg"]
        for number in (data["model_cfg"]["embed_dim"], vision["image_size"]):
            int(number)
    except FileNotFoundError as error:
        raise ConfigError("no OpenCLIP model", where=folder, expected=CONFIG) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "not the configuration of a CLIP", where=folder / CONFIG, got=repr(error)
        ) from error
    if "hf_model_name" in text or "timm_model_name" in vision or isinstance(vision["layers"], list):
        raise ConfigError(
            "another architecture than CLIP's own",
            where=folder / CONFIG,
            expected="a vision transformer and a text transformer of OpenCLIP",
        )
    return data


def _check_licence(folder: Path, data: dict[str, Any]) -> None:
    card = folder / "README.md"
    said = (
        re.search(r"^license:\s*(\S+)", card.read_text(), re.MULTILINE) if card.is_file() else None
    )
    licence = said[1].strip("\"'").lower() if said else ""
    known = f"{folder.resolve().name} {json.dumps(data)} {licence}"
    if (licence and licence not in PERMISSIVE) or _RESEARCH_ONLY.search(known):
        raise ConfigError(
            "the licence of these weights does not permit use beyond research",
            where=folder,
            expected=" or ".join(PERMISSIVE),
            got=licence or "weights that are known to be under one",
        )


def _arguments(config: dict[str, Any]) -> dict[str, Any]:
    """What OpenCLIP's constructor takes of a ``model_cfg``."""
    names = (
        "embed_dim",
        "vision_cfg",
        "text_cfg",
        "quick_gelu",
        "init_logit_scale",
        "init_logit_bias",
    )
    return {name: config[name] for name in names if name in config}
