"""A language model behind an OpenAI-compatible endpoint, which may only choose a primitive."""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from urllib.parse import urlparse

from robot_policy.core.errors import ConfigError

_TIMEOUT_S = 10.0
_NONE = "ask"


class PrimitiveEndpoint:
    """Asks which primitive a sentence means. It sees the sentence and the names, and no image.

    What it answers is taken only if it is exactly the name of a primitive; anything else, an error
    included, means that it does not know.

    Args:
        url: Base address, to which ``/chat/completions`` is added.
        model: Name of the model.
        names: Of the primitives.
        key: Shown as a bearer token where the endpoint wants one.

    Raises:
        ConfigError: If the address is none.
    """

    def __init__(self, url: str, model: str, names: Sequence[str], *, key: str = "") -> None:
        if urlparse(url).scheme not in ("http", "https") or not urlparse(url).netloc:
            raise ConfigError(
                "not an address", where="--talk.endpoint", expected="http(s)://…", got=url
            )
        if not model:
            raise ConfigError("an endpoint needs the name of a model", where="--talk.model")
        self._url = url.rstrip("/") + "/chat/completions"
        self._model = model
        self._names = tuple(names)
        self._key = key

    def __call__(self, sentence: str) -> str | None:
        """Returns the name of a primitive; None if it knows none."""
        rules = (
            "Answer with exactly one of these names, the one that the person asks a robot arm to "
            f"do, or with {_NONE} if it is not clear: {', '.join(self._names)}"
        )
        body = {
            "model": self._model,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": rules},
                {"role": "user", "content": sentence},
            ],
        }
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
                answer = json.load(response)["choices"][0]["message"]["content"]
        except (urllib.error.URLError, OSError, ValueError, KeyError, IndexError, TypeError):
            return None
        name = answer.strip() if isinstance(answer, str) else ""
        return name if name in self._names else None
