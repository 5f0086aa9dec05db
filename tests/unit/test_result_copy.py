"""Copying results from one store to another: all, once, and again from where it stopped."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.errors import UnavailableError
from urlmon.services.result_copy import CopyProgress, copy_results
from urlmon.testing.archive import InMemoryCheckResultArchive
from urlmon.testing.builders import a_result
from urlmon.testing.check_results import InMemoryCheckResultStore
from urlmon.testing.clock import NOON, FakeClock
from urlmon.testing.state import InMemoryState

if TYPE_CHECKING:
    from collections.abc import Callable

    from urlmon.domain.check_results import CheckResult

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
PERIOD = Period(since=NOON - HOUR, until=NOON)


class Copying:
    """A source with 2,500 results of 2 tenants, and an empty target."""

    def __init__(self) -> None:
        clock = FakeClock(NOON)
        self.source, self.target = (
            InMemoryState(clock=clock, retention=timedelta(days=90)) for _ in range(2)
        )
        tenants = [TenantId.new(), TenantId.new()]
        self.results = [
            a_result(tenants[number % 2], MonitorId.new(), scheduled_at=NOON - number * SECOND)
            for number in range(1, 2_501)
        ]
        self.told: list[CopyProgress] = []
        self.then: Callable[[], object] = lambda: None

    async def fill(self, *results: CheckResult) -> None:
        """Record in the source."""
        await InMemoryCheckResultStore(self.source).record(results)

    def hear(self, progress: CopyProgress) -> None:
        """Be told, and do what a test wants then."""
        self.told.append(progress)
        self.then()

    async def run(self, period: Period = PERIOD) -> CopyProgress:
        """Copy."""
        return await copy_results(
            InMemoryCheckResultArchive(self.source),
            InMemoryCheckResultStore(self.target),
            period,
            on_progress=self.hear,
        )


async def test_everything_is_copied_once() -> None:
    """The target has what the source has in the period; a second run finds all of it there."""
    copying = Copying()
    await copying.fill(*copying.results, a_result(TenantId.new(), MonitorId.new()))
    done = await copying.run()
    assert copying.target.results == {each.identity: each for each in copying.results}
    assert (done.read, done.new, done.known, done.stored) == (2_500, 2_500, 0, 0)
    assert [each.read for each in copying.told] == [1_000, 2_000, 2_500]
    assert copying.told[-1] == done
    assert done.reached == PERIOD.until
    again = await copying.run()
    assert (again.read, again.new, again.known) == (2_500, 0, 2_500)


async def test_a_copy_goes_on_where_it_failed() -> None:
    """What was told before the failure is copied, and a run from there copies the rest."""
    copying = Copying()
    await copying.fill(*copying.results)
    with ExitStack() as stack:
        faults = copying.target.faults
        copying.then = lambda: stack.enter_context(faults.fail("CheckResultStore.record"))
        with pytest.raises(UnavailableError):
            await copying.run()
    copying.then = lambda: None
    (told,) = copying.told
    assert len(copying.target.results) == 1_000
    assert told.reached == max(each[3] for each in copying.target.results)
    done = await copying.run(Period(since=told.reached, until=PERIOD.until))
    assert copying.target.results == copying.source.results
    assert (done.read, done.new, done.known) == (1_501, 1_500, 1)


async def test_what_the_target_refuses_is_counted() -> None:
    """It has a shorter retention, say: the rest is copied."""
    copying = Copying()
    await copying.fill(*copying.results)
    copying.target.retention = 100 * SECOND
    done = await copying.run()
    assert (done.read, done.new) == (2_500, 100)
    assert done.refused == {"expired": 2_400}


async def test_nothing_to_copy() -> None:
    """An empty period is copied at once."""
    copying = Copying()
    done = await copying.run()
    assert (done.read, done.reached) == (0, PERIOD.until)
