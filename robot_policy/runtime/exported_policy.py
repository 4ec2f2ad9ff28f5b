"""A trained policy without torch and without the code that trained it: numpy and onnxruntime."""

import hashlib
import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import CheckpointError, SpecError
from robot_policy.core.network_io import candidates_of, network_inputs
from robot_policy.core.observation import (
    ACTION_PREFIX,
    ACTION_PREFIX_WEIGHTS,
    Candidates,
    Windows,
)
from robot_policy.core.policy import Generators, per_row, standard_normal
from robot_policy.core.specs import PolicySpec
from robot_policy.core.transforms import Pipeline, Sample
from robot_policy.runtime.policy_folder import PolicyFolder

NOISE = "noise"
CHUNKS = "chunks"
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True, slots=True)
class GraphInterface:
    """What goes into the graph; stored in ``config.json``.

    Attributes:
        inputs: Name of every input beside the noise to its numpy type; the names are the keys of
            a normalised batch.
        noise_shape: Of the noise that makes one candidate.
        candidates: N, where the graph was made for one; None where it takes any.
    """

    inputs: Mapping[str, str]
    noise_shape: tuple[int, ...]
    candidates: int | None

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        return {
            "inputs": dict(self.inputs),
            "noise_shape": list(self.noise_shape),
            "candidates": self.candidates,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        candidates = data["candidates"]
        return cls(
            inputs={str(key): np.dtype(str(kind)).name for key, kind in data["inputs"].items()},
            noise_shape=tuple(map(int, data["noise_shape"])),
            candidates=None if candidates is None else int(candidates),
        )


class Graph:
    """The network as a function of arrays: normalised numbers in and out.

    Args:
        model: ONNX file.
        interface: Of the graph.
        device: ``cpu``, ``cuda`` or ``auto``.
        threads: CPU threads, 0 for all cores that this process may use.

    Raises:
        CheckpointError: If the file is no such graph, or `device` is not available.
    """

    def __init__(
        self, model: Path, interface: GraphInterface, *, device: str = "cpu", threads: int = 0
    ) -> None:
        # An optional extra, needed by nothing else here; it has no type stubs.
        onnxruntime: Any = importlib.import_module("onnxruntime")
        self.interface = interface
        self.device_type = _resolve_device(device, onnxruntime.get_available_providers())
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # what it cannot fold at load is no news to anybody
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        options.inter_op_num_threads = 1
        # Threads that spin between two plans would take the cores from the control loop.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # What the GPU's provider lacks runs on the CPU.
        providers = list(dict.fromkeys((_PROVIDERS[self.device_type], _PROVIDERS["cpu"])))
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=providers)
        except Exception as error:  # onnxruntime's own errors have no common public base
            raise CheckpointError("not a graph that runs", where=model, got=error) from error
        expected = {NOISE, *interface.inputs}
        got = {entry.name for entry in self._session.get_inputs()}
        if got != expected:
            raise CheckpointError(
                "a graph with other inputs", where=model, expected=sorted(expected), got=sorted(got)
            )

    def __call__(
        self, sample: Mapping[str, NDArray[Any]], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Returns chunks (B, N, P + H, A) for normalised arrays and noise (B, N, *noise_shape)."""
        fixed = self.interface.candidates
        if fixed is not None and noise.shape[1] != fixed:
            raise SpecError(
                "this policy was exported for one number of candidates",
                where="num_samples",
                expected=fixed,
                got=noise.shape[1],
            )
        feed: dict[str, NDArray[Any]] = {NOISE: noise}
        for name, kind in self.interface.inputs.items():
            feed[name] = np.ascontiguousarray(sample[name], dtype=kind)
        return self._session.run([CHUNKS], feed)[0]


class ExportedPolicy:
    """A `Policy` that runs a `Graph` between the two directions of its pipeline.

    Args:
        graph: The network.
        pipeline: The one it was trained with.
        spec: What it needs and what it promises.
    """

    def __init__(self, graph: Graph, pipeline: Pipeline, spec: PolicySpec) -> None:
        self._graph = graph
        self._pipeline = pipeline
        self._spec = spec

    @classmethod
    def load(cls, folder: PolicyFolder, *, device: str = "cpu", threads: int = 0) -> Self:
        """Loads what `robot-policy export` wrote.

        Raises:
            CheckpointError: If the folder is damaged or of another version, or `device` is not
                available.
        """
        config = folder.unchanged_config()
        spec, pipeline = folder.spec(), folder.pipeline(config)
        try:
            interface = GraphInterface.from_json(config["graph"])
            checksum = str(config["graph"]["sha256"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise folder.wrong_entry(error) from error
        if file_sha256(folder.model) != checksum:
            raise CheckpointError(
                "damaged or truncated", where=folder.model, expected=f"SHA-256 {checksum}"
            )
        return cls(Graph(folder.model, interface, device=device, threads=threads), pipeline, spec)

    @property
    def spec(self) -> PolicySpec:
        """What it needs and what it promises."""
        return self._spec

    @property
    def device_type(self) -> str:
        """``cpu`` or ``cuda``."""
        return self._graph.device_type

    def reset(self) -> None:
        """Nothing is kept between calls."""

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        """Draws (B, N, H, A) actions in the robot's units."""
        sample = _decided_alone(network_inputs(windows, self._pipeline, self._spec))
        nothing_decided = (windows.batch_size, 0, self._spec.action.size)
        sample.setdefault(ACTION_PREFIX, np.zeros(nothing_decided, np.float32))
        generators = per_row(generator, windows.batch_size)
        noise = standard_normal((num_samples, *self._graph.interface.noise_shape), generators)
        return candidates_of(self._graph(sample, noise), self._pipeline, self._spec)


def _decided_alone(sample: Sample) -> dict[str, Any]:
    """Cuts the prefix to what is decided in every row: graphs have no guidance."""
    inputs = dict(sample)
    weights = inputs.pop(ACTION_PREFIX_WEIGHTS, None)
    if weights is not None:
        decided = int(np.logical_and.accumulate((weights == 1.0).all(axis=0)).sum())
        inputs[ACTION_PREFIX] = inputs[ACTION_PREFIX][:, :decided]
    return inputs


def file_sha256(path: Path) -> str:
    """Returns the checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _resolve_device(name: str, providers: list[str]) -> str:
    if name == "auto":
        return "cuda" if _PROVIDERS["cuda"] in providers else "cpu"
    device = name.partition(":")[0]
    if device not in _PROVIDERS:
        raise CheckpointError("unknown device", where=name, valid=_PROVIDERS)
    if _PROVIDERS[device] not in providers:
        raise CheckpointError(
            "this onnxruntime has no CUDA; onnxruntime-gpu has", where=name, valid=["cpu"]
        )
    return device
