"""`robot-policy calibrate report`: a page that shows a calibration that was made before."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from calibration.result import CalibrationResult
from robot_policy.cli.calibration_inputs import require_page
from robot_policy.cli.calibration_output import save_report


@dataclass(frozen=True)
class ReportConfig:
    """Show a result as one HTML page: residuals, uncertainty, and what would improve it.

    Pictures and their coverage are only at hand while calibrating: `--report` there shows them too.
    """

    result: Positional[Path]
    """Result of a calibration (YAML or JSON)."""
    output: Path
    """The page (HTML)."""


def run(config: ReportConfig) -> int:
    """Writes the page."""
    require_page(config.output)
    save_report(config.output, CalibrationResult.load(config.result))
    return 0
