"""The contract of `Clock`."""

from __future__ import annotations

from datetime import UTC, datetime

from urlmon.ports import Clock


class ClockContract:
    """What every `Clock` must hold, over the fixture `clock`."""

    def test_it_tells_utc(self, clock: Clock) -> None:
        """An instant is a plain datetime, of whole microseconds, and in UTC itself."""
        now = clock.now()
        assert type(now) is datetime
        assert now.tzinfo is UTC

    def test_it_does_not_go_back(self, clock: Clock) -> None:
        """Asked again, it tells the same time or a later one."""
        told = [clock.now() for _ in range(1_000)]
        assert told == sorted(told)
