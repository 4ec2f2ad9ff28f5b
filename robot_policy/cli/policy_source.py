"""Where a command's policy comes from: a checkpoint here, or a server elsewhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robot_policy.cli.sampling_options import parse_options
from robot_policy.core.errors import ConfigError
from robot_policy.core.policy import LoadedPolicy
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.policy_folder import PolicyFolder

if TYPE_CHECKING:
    from robot_policy.serving.remote_policy import RemotePolicy


def check_source(checkpoint: Path | None, server: str | None) -> None:
    """Checks that exactly one of both is given.

    Raises:
        ConfigError: If not.
    """
    if (checkpoint is None) == (server is None):
        raise ConfigError(
            "give one of both",
            where="CHECKPOINT, --server",
            got="neither" if server is None else f"{checkpoint} and {server}",
        )


def open_policy(
    checkpoint: Path | None,
    server: str | None,
    *,
    token_file: Path | None = None,
    tls_ca: Path | None = None,
    deadline_s: float = 60.0,
    device: str = "cpu",
    options: Sequence[str] = (),
    threads: int = 0,
) -> LoadedPolicy:
    """Loads a checkpoint, or connects to a server.

    Args:
        checkpoint: See `load_policy`; None if there is a server.
        server: Its URL; None if there is a checkpoint.
        token_file: With the server's token.
        tls_ca: Certificate that signed the server's.
        deadline_s: For each answer of the server [s].
        device: Where the policy runs here.
        options: How it draws here, as ``key=value``.
        threads: CPU threads here.

    Raises:
        ConfigError: If not exactly one is given, or options are given for a server.
        CheckpointError: If the checkpoint cannot be loaded.
        PolicyServerError: If the server cannot be reached or refuses.
    """
    check_source(checkpoint, server)
    if checkpoint is not None:
        from robot_policy.checkpoint import load_policy  # seconds of torch

        parsed = parse_options(options, checkpoint=checkpoint)
        return load_policy(checkpoint, device=device, options=parsed, threads=threads)
    assert server is not None
    if options:
        raise ConfigError(
            "the server decides how its policy draws",
            where="--options",
            got=" ".join(options),
            hint="start serve-policy with them",
        )
    return _connect(server, token_file=token_file, tls_ca=tls_ca, deadline_s=deadline_s)


def read_spec(
    checkpoint: Path | None,
    server: str | None,
    *,
    token_file: Path | None = None,
    tls_ca: Path | None = None,
) -> PolicySpec:
    """Reads only the spec of the policy; arguments and errors are those of `open_policy`."""
    check_source(checkpoint, server)
    if checkpoint is not None:
        return PolicyFolder.find(checkpoint).spec()
    assert server is not None
    with _connect(server, token_file=token_file, tls_ca=tls_ca, deadline_s=1.0) as policy:
        return policy.spec


def _connect(
    server: str, *, token_file: Path | None, tls_ca: Path | None, deadline_s: float
) -> "RemotePolicy":
    from robot_policy.serving.remote_policy import RemotePolicy
    from robot_policy.serving.token import read_token

    return RemotePolicy.connect(
        server, token=read_token(token_file), deadline_s=deadline_s, authority=tls_ca
    )
