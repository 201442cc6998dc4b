"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["TestClock"]


class TestClock:
    """A clock that stands still until it is moved. The option `clock` of a server takes it.

    >>> clock = TestClock()
    >>> clock.advance(60)
    >>> clock()
    1700000060
    """

    __test__ = False

    def __init__(self, at: int = 1_700_000_000) -> None:
        """Shows `at`, in seconds since 1970: 14 November 2023, 22:13:20 UTC. For tests beside code that reads the system's clock, give
        `int(time.time())`."""
        self._now = at

    def __call__(self) -> int:
        """The time it shows, in seconds since 1970."""
        return self._now

    def set(self, at: int) -> None:
        """Moves it to `at`, which may be in its past."""
        self._now = at

    def advance(self, seconds: int | timedelta) -> None:
        """Moves it `seconds` ahead. Fractions of a second are left out."""
        self._now += int(seconds.total_seconds()) if isinstance(seconds, timedelta) else seconds

    def __repr__(self) -> str:
        return f"TestClock({self._now})"
