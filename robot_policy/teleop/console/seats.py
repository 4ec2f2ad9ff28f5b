"""Who may drive: one operator at a time; others watch."""


class Seats:
    """The first who comes drives. When they are gone, whoever drives next takes the seat."""

    def __init__(self) -> None:
        self._operator: int | None = None
        self._next = 0

    def enter(self) -> int:
        """Returns a number for a connection, which takes the seat if it is free."""
        number, self._next = self._next, self._next + 1
        if self._operator is None:
            self._operator = number
        return number

    def drives(self, number: int) -> bool:
        """Whether a connection has the seat; takes it if it is free."""
        if self._operator is None:
            self._operator = number
        return self._operator == number

    def leave(self, number: int) -> bool:
        """Gives the seat back; returns whether the connection had it."""
        had = self._operator == number
        if had:
            self._operator = None
        return had
