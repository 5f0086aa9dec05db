"""A clock that a test pushes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from urlmon.domain._validators import check_instant
from urlmon.ports import Clock

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


class FakeClock(Clock):
    """A clock that stands still until it is advanced."""

    __slots__ = ("_now",)

    def __init__(self, now: datetime = NOON) -> None:
        self._now = check_instant("now", now)

    def now(self) -> datetime:
        return self._now

    def advance(self, duration: timedelta) -> None:
        """Push the clock on; a negative duration sets it back."""
        self._now = check_instant("now", self._now + duration)
