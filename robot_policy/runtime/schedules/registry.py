"""Every schedule by name."""

from robot_policy.core.registry import Registry

_HERE = "robot_policy.runtime.schedules"

SCHEDULES = Registry(
    "schedule",
    {
        "receding": f"{_HERE}.receding:Receding",
        "async": f"{_HERE}.overlapping:Overlapping",
        "ensemble": f"{_HERE}.ensemble:Ensemble",
        "rtc": f"{_HERE}.real_time_chunking:RealTimeChunking",
        "naive": f"{_HERE}.naive:Naive",
    },
)
"""Classes; each is built from the spec of the policy and the `AgentConfig`."""
