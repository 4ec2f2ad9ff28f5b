"""What every calibration hands back: values, how wrong they may be, and where they came from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from calibration.provenance import Provenance
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.files import read_json, replacing, write_json

type Array = NDArray[np.floating]

_YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """One calibration.

    Attributes:
        kind: What was calibrated: ``"intrinsics"``, ``"hand_eye"``, ``"time_offset"``, …
        values: What was found. Names carry frames and units: ``gripper_T_camera`` (4, 4),
            ``offset_s``. Arrays, numbers, text and lists of text only.
        parameters: Names of the rows of `covariance`, units in them.
        covariance: (P, P). A transform ``a_T_b`` has six rows, ``a_T_b.rx_rad`` … ``.tz_m``: a
            rotation vector r [rad] and a translation t [m], both in frame b, so that the truth is
            a_T_b · (Exp(r), t).
        residuals: What is left over, by name with its unit: ``reprojection_px`` (n,).
        figures: Numbers a person judges it by, by name with unit: ``leave_one_out_mm``.
        notes: Sentences a person should read: what was dropped and why, what is weak.
        provenance: Digest of the inputs, date, versions.
    """

    kind: str
    values: Mapping[str, Any]
    parameters: tuple[str, ...] = ()
    covariance: Array = field(default_factory=lambda: np.zeros((0, 0)))
    residuals: Mapping[str, Array] = field(default_factory=dict[str, Array])
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    notes: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance(""))

    def __post_init__(self) -> None:
        expected = (len(self.parameters), len(self.parameters))
        if self.covariance.shape != expected:
            raise DataError(
                "the covariance does not fit the parameters",
                where=self.kind,
                expected=expected,
                got=self.covariance.shape,
            )

    def transform(self, name: str) -> Array:
        """Returns the transform called `name`, ``a_T_b``, (4, 4).

        Raises:
            DataError: If there is no such transform.
        """
        value = self.values.get(name)
        if not isinstance(value, np.ndarray) or value.shape != (4, 4):
            valid = [k for k, v in self.values.items() if np.shape(v) == (4, 4)]
            raise DataError(f"no transform {name!r}", where=self.kind, valid=valid)
        return value

    def covariance_of(self, prefix: str) -> Array:
        """Returns the block of the parameters whose name begins with `prefix` and a dot.

        Raises:
            DataError: If there is none.
        """
        rows = [i for i, name in enumerate(self.parameters) if name.startswith(f"{prefix}.")]
        if not rows:
            valid = sorted({name.partition(".")[0] for name in self.parameters})
            raise DataError(f"no covariance of {prefix!r}", where=self.kind, valid=valid)
        return self.covariance[np.ix_(rows, rows)]

    def save(self, path: Path) -> None:
        """Writes it whole or not at all, as YAML or JSON by the ending of `path`.

        Raises:
            ConfigError: If the ending is another.
        """
        data = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        if path.suffix == ".json":
            write_json(path, data)
        elif path.suffix in _YAML:
            _write_yaml(path, data)
        else:
            raise _wrong_ending(path)

    @classmethod
    def load(cls, path: Path) -> "CalibrationResult":
        """Reads what `save` wrote.

        Raises:
            ConfigError: If the ending of `path` is none of JSON or YAML.
            DataError: If the file is missing, damaged or of another form.
        """
        if path.suffix == ".json":
            data = read_json(path)
        elif path.suffix in _YAML:
            data = read_yaml(path)
        else:
            raise _wrong_ending(path)
        return _parse(data, path)


def transform_parameters(name: str) -> tuple[str, ...]:
    """Names of the six covariance rows of the transform called `name`."""
    return tuple(f"{name}.{p}" for p in ("rx_rad", "ry_rad", "rz_rad", "tx_m", "ty_m", "tz_m"))


def read_yaml(path: Path) -> Any:
    """Reads a YAML file.

    Raises:
        DataError: If it is missing or not YAML.
    """
    import yaml

    try:
        return yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise DataError("no such file", where=path) from error
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise DataError("not a readable YAML file", where=path, got=error) from error


def _write_yaml(path: Path, data: Any) -> None:
    import yaml

    text = yaml.safe_dump(data, sort_keys=False, default_flow_style=None)
    with replacing(path) as temporary:
        temporary.write_text(text)


def _wrong_ending(path: Path) -> ConfigError:
    return ConfigError("cannot tell the format from the name", where=path, valid=(".json", *_YAML))


def _plain(value: Any) -> Any:
    if isinstance(value, Provenance):
        return asdict(value)
    if isinstance(value, float | np.floating | np.ndarray) and not np.isfinite(value).all():
        raise DataError("a result that is not finite is not written", got=value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _parse(data: Any, path: Path) -> CalibrationResult:
    try:
        size = len(data["parameters"])
        return CalibrationResult(
            kind=str(data["kind"]),
            values={str(k): _array_or_same(v) for k, v in data["values"].items()},
            parameters=tuple(map(str, data["parameters"])),
            covariance=np.array(data["covariance"], dtype=np.float64).reshape(size, size),
            residuals={k: np.array(v, dtype=np.float64) for k, v in data["residuals"].items()},
            figures={k: float(v) for k, v in data["figures"].items()},
            notes=tuple(map(str, data["notes"])),
            provenance=Provenance(**data["provenance"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError("not a calibration result", where=path, got=repr(error)) from error


def _array_or_same(value: Any) -> Any:
    """Lists of numbers were arrays; lists of text were lists."""
    if not isinstance(value, list):
        return value
    items = cast("list[Any]", value)
    array = np.array(items) if items else np.zeros(0)
    return array.astype(np.float64) if array.dtype.kind in "if" else items
