"""`robot-policy serve-policy CHECKPOINT`: the policy over websockets, for a robot elsewhere."""

import asyncio
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from robot_policy.cli.sampling_options import parse_options
from robot_policy.core.errors import ConfigError


@dataclass(frozen=True)
class ServePolicyConfig:
    """Answer robots elsewhere over a websocket; openpi's client can ask too."""

    checkpoint: Positional[Path]
    """A training run, one of its checkpoints, or a policy folder."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines connect."""
    port: int = 8000
    """TCP port; 0 takes a free one."""
    device: str = "cpu"
    """Where the policy runs: cpu, cuda or auto."""
    token_file: Path | None = None
    """File with the secret that clients show; made if it is missing. By default
    $ROBOT_POLICY_TOKEN, or ~/.config/robot-policy/token."""
    tls_cert: Path | None = None
    """Certificate chain (PEM) for an encrypted connection."""
    tls_key: Path | None = None
    """Its key (PEM)."""
    max_batch: int = 8
    """Robots that share one call of the policy at most; 1 answers them one by one."""
    max_wait_ms: float = 3.0
    """How long a request waits for others where several robots are connected [ms]."""
    max_clients: int = 32
    """Robots connected at once."""
    max_message_mb: float | None = None
    """Largest request [MB]; by default what the policy needs."""
    rename: tuple[str, ...] = ()
    """Entries of openpi clients as client key=dataset key, for example
    observation/wrist_image=observation.images.wrist."""
    options: tuple[str, ...] = ()
    """How the policy draws, as key=value: sample_steps=5, for example."""
    seed: int = 0
    """Of the draws of clients that bring no generator."""
    threads: int = 0
    """CPU threads of the policy; 0 takes what the library takes."""


def run(config: ServePolicyConfig) -> int:
    """Serves until Ctrl-C or SIGTERM."""
    _check(config)
    from robot_policy.serving.batcher import BatchSettings
    from robot_policy.serving.server import PolicyServer, ServerSettings
    from robot_policy.serving.tls import server_context
    from robot_policy.serving.token import read_or_make_token
    from robot_policy.serving.warm_up import warm_up

    tls = server_context(config.tls_cert, config.tls_key)
    token, token_place = read_or_make_token(config.token_file)
    from robot_policy.checkpoint import load_policy  # seconds of torch

    policy = load_policy(
        config.checkpoint,
        device=config.device,
        options=parse_options(config.options, checkpoint=config.checkpoint),
        threads=config.threads,
    )
    megabytes = config.max_message_mb
    settings = ServerSettings(
        host=config.host,
        port=config.port,
        max_connections=config.max_clients,
        max_message_bytes=None if megabytes is None else round(megabytes * 1e6),
        batch=BatchSettings(config.max_batch, config.max_wait_ms * 1e-3),
        renamed=config.rename,
        seed=config.seed,
        tls=tls,
    )
    server = PolicyServer(
        policy,
        token=token,
        name=str(config.checkpoint),
        device=policy.device_type,
        settings=settings,
    )
    # A GPU records a graph for every size of batch; no robot should wait for that.
    warm_up(policy, rows=config.max_batch if policy.device_type == "cuda" else 1)
    if tls is None and not settings.stays_here:
        print("warning: not encrypted: others on the network can read the token", file=sys.stderr)

    def started(url: str) -> None:
        print(f"serving {config.checkpoint} at {url}, token in {token_place}", flush=True)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.stop)
        await server.run(started=started)

    asyncio.run(serve())
    return 0


def _check(config: ServePolicyConfig) -> None:
    limits: Mapping[str, tuple[float, float]] = {
        "port": (0, 65_535),
        "max_batch": (1, 64),
        "max_wait_ms": (0, 1000),
        "max_clients": (1, 10_000),
        "seed": (0, 2**63 - 1),
        "threads": (0, 1024),
    }
    for name, (low, high) in limits.items():
        value = getattr(config, name)
        if not low <= value <= high:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError("out of range", where=option, expected=f"{low} .. {high}", got=value)
    if config.max_message_mb is not None and not 0 < config.max_message_mb <= 1000:
        raise ConfigError(
            "out of range",
            where="--max-message-mb",
            expected="0 .. 1000",
            got=config.max_message_mb,
        )
