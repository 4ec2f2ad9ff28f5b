"""What a page asks for besides driving, carried out between two control periods."""

from collections import deque
from collections.abc import Callable

from robot_policy.teleop.devices.browser import Browser
from robot_policy.teleop.session import Session


class Buttons:
    """Hands what the server's thread was told to the control loop's.

    Args:
        session: That it is for.
        browser: Wakes the loop.
    """

    def __init__(self, session: Session, browser: Browser) -> None:
        self._session = session
        self._browser = browser
        self._waiting: deque[Callable[[], None]] = deque()

    def say(self, level: str, text: str) -> None:
        """Tells every page something."""
        self._waiting.append(lambda: self._session.say(level, text))

    def set_task(self, text: str) -> None:
        """Takes the instruction of the next episode."""

        def take() -> None:
            self._session.task = text

        self._waiting.append(take)

    def carry_out(self) -> None:
        """Does what waits; called by the control loop."""
        for _ in range(len(self._waiting)):
            self._waiting.popleft()()
