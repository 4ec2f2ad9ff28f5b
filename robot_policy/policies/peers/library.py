"""Imports and runs another library without what it does to the process on the side."""

import contextlib
import io
import logging
import warnings
from collections.abc import Generator

from robot_policy.core.errors import ConfigError


@contextlib.contextmanager
def quiet_library(name: str) -> Generator[None]:
    """Imports or builds something of library `name` within the block.

    lerobot sets up the root logger anew while robomimic prints a banner and every configuration
    it reads; neither may reach a program that only wants to run a policy. Importing lerobot takes
    over ten seconds, so it belongs inside the functions that need it.

    Raises:
        ModuleNotFoundError: If the library is not installed; the command line names the extra.
        ConfigError: If it is installed and cannot be imported.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == name:
            raise
        raise _broken(name, error) from error
    except ImportError as error:
        raise _broken(name, error) from error
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def _broken(name: str, error: ImportError) -> ConfigError:
    return ConfigError(
        f"{name} cannot be imported",
        got=error,
        hint=f"install it anew: uv pip install -e '.[{name}]'",
    )
