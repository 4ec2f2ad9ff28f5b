"""The secret that a client shows and a server asks for."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from robot_policy.core.errors import ConfigError

TOKEN_VARIABLE = "ROBOT_POLICY_TOKEN"
_SHORTEST = 16


def default_token_file() -> Path:
    """Returns where the token lies if nobody says otherwise."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "robot-policy" / "token"


def read_token(file: Path | None = None) -> str:
    """Returns the token in `file`, else in ``$ROBOT_POLICY_TOKEN``, else in the default file.

    Raises:
        ConfigError: If there is none, or it is too short to be a secret.
    """
    if file is None and os.environ.get(TOKEN_VARIABLE):
        return _checked(os.environ[TOKEN_VARIABLE], where=f"${TOKEN_VARIABLE}")
    path = file or default_token_file()
    try:
        return _checked(path.read_text(), where=path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "no token",
            where=path,
            got=error if isinstance(error, UnicodeDecodeError) else error.strerror,
            hint=f"copy the server's token file here, or set ${TOKEN_VARIABLE}",
        ) from error


def read_or_make_token(file: Path | None = None) -> tuple[str, str]:
    """Returns the server's token and where it is from; a missing file is made, for its owner only.

    Raises:
        ConfigError: If it cannot be read or made, or is too short.
    """
    path = file or default_token_file()
    from_variable = file is None and bool(os.environ.get(TOKEN_VARIABLE))
    if not from_variable and not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as created:
                created.write(secrets.token_urlsafe(32) + "\n")
        except OSError as error:
            raise ConfigError("cannot write a token", where=path, got=error.strerror) from error
    return read_token(file), f"${TOKEN_VARIABLE}" if from_variable else str(path)


def authorization(token: str) -> str:
    """Returns the value of the header ``Authorization`` that openpi's client sends too."""
    return f"Api-Key {token}"


def is_authorized(header: str | None, token: str) -> bool:
    """Whether the header shows the token; takes as long for a wrong one as for the right one."""
    scheme, _, shown = (header or "").partition(" ")
    same = hmac.compare_digest(_digest(shown.strip()), _digest(token))
    return same and scheme.lower() in ("api-key", "bearer")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", errors="replace")).digest()


def _checked(text: str, *, where: object) -> str:
    token = text.strip()
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            "no token", where=where, expected=f"at least {_SHORTEST} printable characters, no space"
        )
    return token
