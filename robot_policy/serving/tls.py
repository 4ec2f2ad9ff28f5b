"""TLS for both ends, from files."""

import ssl
from pathlib import Path

from robot_policy.core.errors import ConfigError


def server_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Returns the context of a server with that certificate chain and key; None without both.

    Raises:
        ConfigError: If only one is given, or they cannot be read or do not belong together.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigError("give both or neither", where="--tls-cert, --tls-key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "not a certificate and its key (PEM)", where=f"{certificate}, {key}", got=error
        ) from error
    return context


def client_context(url: str, authority: Path | None) -> ssl.SSLContext | None:
    """Returns the context for a ``wss`` URL, None for ``ws``.

    Args:
        url: Of the server.
        authority: Certificate that the server's has to be signed by; None trusts the system's.

    Raises:
        ConfigError: If `authority` is given for an unencrypted connection or cannot be read.
    """
    if not url.startswith("wss://"):
        if authority is not None:
            raise ConfigError("not an encrypted connection", where=url, expected="wss://")
        return None
    try:
        return ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("not a certificate (PEM)", where=authority, got=error) from error
