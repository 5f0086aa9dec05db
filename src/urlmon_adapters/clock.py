"""The clock of the machine."""

from __future__ import annotations

from datetime import UTC, datetime

from urlmon.ports import Clock


class SystemClock(Clock):
    """The operating system's time of day."""

    __slots__ = ()

    def now(self) -> datetime:
        """Return the present instant, as the port says."""
        return datetime.now(UTC)
