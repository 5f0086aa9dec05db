"""Every `Clock` keeps the contract."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from urlmon.testing.clock import FakeClock
from urlmon.testing.contracts.clock import ClockContract
from urlmon_adapters.clock import SystemClock


class TestFakeClock(ClockContract):
    @pytest.fixture
    def clock(self) -> FakeClock:
        """A clock that was set in another zone."""
        east = timezone(timedelta(hours=5, minutes=30))
        return FakeClock(datetime(2026, 1, 1, 1, 2, 3, 456_789, tzinfo=east))


class TestSystemClock(ClockContract):
    @pytest.fixture
    def clock(self) -> SystemClock:
        """The machine's clock."""
        return SystemClock()

    def test_it_is_the_present(self, clock: SystemClock) -> None:
        """It tells the time of the machine."""
        before = datetime.now(UTC)
        assert before <= clock.now() <= datetime.now(UTC)
