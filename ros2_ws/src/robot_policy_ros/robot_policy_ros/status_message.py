"""Diagnostic messages: a level, a line and named values."""

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from robot_policy_ros.conversions import stamp_from_ns


def status_message(
    name: str, *, level: bytes, message: str, values: Mapping[str, str]
) -> DiagnosticStatus:
    """Builds a status; `level` is one of ``DiagnosticStatus.OK``, ``WARN``, ``ERROR``."""
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def diagnostic_array(status: DiagnosticStatus, *, stamp_ns: int) -> DiagnosticArray:
    """Wraps a status for ``/diagnostics``."""
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp_from_ns(stamp_ns)
    return message


def status_values(status: DiagnosticStatus) -> dict[str, str]:
    """Returns the named values of a status."""
    return {entry.key: entry.value for entry in status.values}
