"""The contract of what becomes of results, a part of `CheckResultStoreContract`."""

from __future__ import annotations

from datetime import timedelta

from attrs import evolve

from urlmon.domain.fates import (
    ALREADY_THERE,
    CLOCK_TOLERANCE,
    EXPIRED,
    FUTURE,
    NEW,
    STORED,
)
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.testing.builders import a_result
from urlmon.testing.contracts._recording import (
    BOOM,
    MICROSECOND,
    MINUTE,
    RETENTION,
    SECOND,
    everything,
)
from urlmon.testing.contracts.stores import ResultStores

# A store that cannot tell says neither.
FIRST = {NEW, STORED}
THERE = {ALREADY_THERE, STORED}


class FatesContract:
    """What `record` tells of each result."""

    async def test_recorded_twice_is_stored_once(self, recording: ResultStores) -> None:
        """A repeated batch is known, gives the same refusals and changes nothing."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        at = recording.clock.now()
        batch = [
            a_result(tenant, monitor, scheduled_at=at, error=BOOM),
            a_result(tenant, monitor, scheduled_at=at - MINUTE),
            a_result(tenant, monitor, scheduled_at=at - RETENTION - SECOND),
        ]
        for repeat in range(3):
            *stored, late = await recording.results.record(batch)
            assert late == EXPIRED
            assert all(fate in (THERE if repeat else FIRST) for fate in stored)
        assert await everything(recording, tenant, monitor) == tuple(batch[:2])

    async def test_fates_at_the_edges(self, recording: ResultStores) -> None:
        """A microsecond decides what is too old or too far ahead; the rest is stored."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        now = recording.clock.now()
        oldest, newest = now - RETENTION, now + CLOCK_TOLERANCE
        refused = {
            newest + MICROSECOND: FUTURE,
            newest: None,
            oldest - MICROSECOND: EXPIRED,
            now: None,
            now + timedelta(days=400): FUTURE,
            oldest: None,
            now - timedelta(days=4_000): EXPIRED,
        }
        batch = [a_result(tenant, monitor, scheduled_at=at, checked_at=now) for at in refused]
        fates = await recording.results.record(batch)
        assert [fate.stored for fate in fates] == [each is None for each in refused.values()]
        assert all(each in {None, fate} for fate, each in zip(fates, refused.values(), strict=True))
        ever = Period(since=now - timedelta(days=4_001), until=now + timedelta(days=401))
        page = await recording.results.history(tenant, [monitor], period=ever)
        assert page.items == (batch[1], batch[3], batch[5])

    async def test_fates_are_in_the_order_given(self, recording: ResultStores) -> None:
        """Each result has its own fate, also where identities repeat."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        now = recording.clock.now()
        old = a_result(tenant, monitor, scheduled_at=now - RETENTION - SECOND)
        good = a_result(tenant, monitor, scheduled_at=now)
        early = a_result(tenant, monitor, scheduled_at=now + CLOCK_TOLERANCE + SECOND)
        bad = evolve(good, error=BOOM)
        fates = await recording.results.record([old, good, early, good, bad, old])
        assert fates[1] in FIRST
        there = (ALREADY_THERE, ALREADY_THERE)
        assert (fates[0], *fates[2:]) == (EXPIRED, FUTURE, *there, EXPIRED)

    async def test_what_was_there_is_told_from_what_is_new(self, recording: ResultStores) -> None:
        """Who records first has a new result, every later one has not, also if it outranks it."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        now = recording.clock.now()
        good, other, more = (
            a_result(tenant, monitor, scheduled_at=now - number * MICROSECOND)
            for number in range(3)
        )
        bad = evolve(good, error=BOOM)
        for batch, known in (
            ([good], [False]),
            ([good, other], [True, False]),
            ([bad], [True]),
            ([more, bad, good], [False, True, True]),
            ([evolve(more, location="elsewhere"), other, more], [False, True, True]),
        ):
            fates = await recording.results.record(batch)
            assert all(
                fate in (THERE if there else FIRST)
                for fate, there in zip(fates, known, strict=True)
            )
