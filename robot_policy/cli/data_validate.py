"""`robot-policy data validate PATH`: what is wrong with a dataset, where, and what to do."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from robot_policy.cli.progress import progress_bar
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.files import write_json
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.validation.finding import SEVERITIES, Fault, Severity
from robot_policy.data.validation.mending import DROPS, Mended, mend
from robot_policy.data.validation.report import Report
from robot_policy.data.validation.validator import validate

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


@dataclass(frozen=True)
class ValidateConfig:
    """Check a dataset: every finding with a code, a severity, a place and a remedy.

    The exit status is 1 if there are errors, 0 if there are only warnings or notes. With --fix it
    is that of the mended copy.
    """

    path: Positional[Path]
    """Dataset of any format, or view."""
    json: Path | None = None
    """Also write all findings to this file."""
    images: bool = True
    """Decode and look at every image; without, only times and headers of videos are read."""
    fix: bool = False
    """Write a copy in which is mended what can be mended safely."""
    output: Path | None = None
    """Where the copy goes; nothing may be there."""
    drop: tuple[Literal["duplicates", "undecodable", "not-finite"], ...] = ()
    """Episodes that the copy leaves out."""
    robot: str = ""
    """Robot description (name or file): meaning of the topics of a bag, limits of actions."""
    gap_s: float = 1.0
    """Silence of the joint states after which another episode of a bag begins [s]."""
    episode_topic: str = ""
    """Topic of a bag that says when episodes begin and end, instead of silence."""
    freshness_s: float | None = None
    """Oldest measurement that an observation may be made of; as the robot description says."""
    recover: bool = False
    """Read recordings that were cut off as far as they go."""


def run(config: ValidateConfig) -> int:
    """Checks, prints what was found, and mends a copy if asked.

    Returns:
        0, or 1 if there are errors.
    """
    _check_options(config)
    try:
        return _run(config)
    except BrokenPipeError:
        raise  # whoever reads the output has seen enough
    except OSError as error:  # a full disk, a folder that may not be read or written to
        raise DataError("cannot be read or written", where=config.path, got=error) from error


def _run(config: ValidateConfig) -> int:
    report = _validate(config, config.path)
    _show(report)
    result = report.to_json()
    if config.fix and config.output is not None:
        mended = mend(report, config.output, _options(config), drop=config.drop)
        again = _validate(config, config.output)
        _show_mended(mended, report, again)
        result["fix"] = mended.to_json() | {"after": again.to_json()}
        report = again
    if config.json is not None:
        write_json(config.json, result)
    return int(report.has_errors)


def _check_options(config: ValidateConfig) -> None:
    if config.fix != (config.output is not None):
        raise ConfigError("--fix and --output belong together", where="data validate")
    if config.drop and not config.fix:
        raise ConfigError("--drop belongs to --fix", where="data validate", valid=DROPS)
    if config.gap_s <= 0 or (config.freshness_s is not None and config.freshness_s <= 0):
        raise ConfigError("times must be positive", where="--gap-s, --freshness-s")
    if config.output is not None and config.output.exists():
        raise ConfigError(
            "the output exists and will not be overwritten",
            where=config.output,
            hint="choose another --output or remove it",
        )


def _options(config: ValidateConfig) -> SourceOptions:
    return SourceOptions(
        robot=config.robot,
        recover=config.recover,
        gap_s=config.gap_s,
        episode_topic=config.episode_topic,
        freshness_s=config.freshness_s,
    )


def _validate(config: ValidateConfig, path: Path) -> Report:
    with ExitStack() as stack:
        advance: list[Callable[[str], None]] = []

        def begin(episodes: int) -> None:
            bar = progress_bar(f"checking {path.name}", episodes)
            advance.append(stack.enter_context(bar))

        return validate(
            path,
            _options(config),
            images=config.images,
            begin=begin,
            advance=lambda: advance[0](""),
        )


def _show(report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(_summary(report)))
    if not report.counts:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    table.add_column("code", no_wrap=True)
    table.add_column("", justify="right")
    table.add_column("first of them, and what to do", overflow="fold", ratio=1)
    for fault in report.faults:
        # Text, not str: a name may hold what rich takes for markup.
        table.add_row(
            Text(fault.severity.value, style=_COLOURS[fault.severity]),
            fault.code,
            f"{report.counts[fault.code]} x",
            _told(report, fault),
        )
    console.print(table)


def _told(report: Report, fault: Fault) -> Any:
    from rich.text import Text

    first = report.of(fault.code)[0]
    return Text.assemble(
        (str(first.place), "bold"), f": {first.found}\n", (f"→ {fault.remedy}", "dim")
    )


def _summary(report: Report) -> str:
    parts = [
        f"{count} {severity.value}{'' if count == 1 else 's'}"
        for severity in SEVERITIES
        if (count := report.count(severity))
    ]
    seen = "" if report.images else ", images not looked at"
    return (
        f"{report.path} ({report.format}): {', '.join(parts) or 'nothing found'}; "
        f"{report.episodes} episodes, {report.frames} frames in {report.seconds:.1f} s{seen}"
    )


def _show_mended(mended: Mended, before: Report, after: Report) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    console.print(Text(f"{mended.path}: {mended.episodes} episodes"))
    for line in mended.lines:
        console.print(Text(f"  {line}"))
    for fault in before.faults:
        gone = before.counts[fault.code] - after.counts[fault.code]
        if gone > 0:
            console.print(Text(f"  mended: {fault.code} ({gone} x)"))
    for fault in after.faults:
        count = after.counts[fault.code]
        console.print(Text(f"  not mended: {fault.code} ({count} x) → {fault.remedy}"))
