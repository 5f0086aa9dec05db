"""The contract of `AlertStateCache`."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta, timezone

import pytest
from attrs import evolve

from urlmon.domain.alert_state import UNKNOWN, AlertState, MonitorStatus
from urlmon.domain.alerting import decide
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.errors import InvalidValueError, NotFoundError
from urlmon.testing.builders import an_outcome
from urlmon.testing.clock import NOON
from urlmon.testing.contracts._alert_state_replace import ReplacingContract
from urlmon.testing.contracts._alert_state_rules import RulesContract
from urlmon.testing.contracts._alert_states import (
    EARLIEST,
    LATEST,
    MICROSECOND,
    ONE,
    Monitor,
    some_state,
)
from urlmon.testing.contracts.isolation import assert_nil_refused, refusal_of
from urlmon.testing.contracts.stores import WorkingStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS


class AlertStateCacheContract(RulesContract, ReplacingContract):
    """What every `AlertStateCache` must hold."""

    async def test_acknowledge(self, working: WorkingStores) -> None:
        """The open alert can be acknowledged, repeatedly, until it ends."""
        monitor = Monitor(working)
        alert_id = (await monitor.fail(0)).state.open_alert
        assert alert_id is not None
        for _ in range(2):
            state = await working.alert_state.acknowledge(*monitor.key, alert_id=alert_id)
            assert state.acknowledged
            assert await working.alert_state.get(*monitor.key) == state
        assert (await monitor.fail(1)).state.acknowledged
        for other in (Monitor(working).id, monitor.id):
            wrong = alert_id if other != monitor.id else AlertId.new()
            error = await refusal_of(
                working.alert_state.acknowledge(monitor.tenant_id, other, alert_id=wrong)
            )
            assert isinstance(error, NotFoundError)
            assert (error.entity, error.key) == ("alert", str(wrong))
            assert error.operation == "AlertStateCache.acknowledge"
        assert not (await monitor.succeed(2)).state.acknowledged
        with pytest.raises(NotFoundError):
            await working.alert_state.acknowledge(*monitor.key, alert_id=alert_id)

    async def test_seed(self, working: WorkingStores) -> None:
        """A seed is kept exactly where nothing was known: the first one wins."""
        for cause in (*HOSTILE_TEXTS, "\U0001f525" * 500):
            monitor = Monitor(working)
            state = some_state(monitor, cause)
            assert await working.alert_state.seed(*monitor.key, state=UNKNOWN)
            assert await working.alert_state.seed(*monitor.key, state=state)
            assert await working.alert_state.seed(*monitor.key, state=state)
            other = evolve(state, acknowledged=False)
            assert not await working.alert_state.seed(*monitor.key, state=other)
            assert not await working.alert_state.seed(*monitor.key, state=UNKNOWN)
            assert await working.alert_state.get(*monitor.key) == state
        assert await working.outbox.backlog() == 0

    async def test_seed_then_record(self, working: WorkingStores) -> None:
        """What was seeded goes on by the rules."""
        monitor = Monitor(working)
        state = seeded = some_state(monitor)
        await working.alert_state.seed(*monitor.key, state=state)
        for minute in range(22):
            outcome = monitor.outcome(minute, success=True, location="a")
            decision = await monitor.record(outcome)
            assert decision == decide(state, outcome, ONE)
            state = decision.state
        assert (state.status, state.open_alert) == (MonitorStatus.UP, None)
        assert not await working.alert_state.seed(*monitor.key, state=seeded)

    async def test_forget(self, working: WorkingStores) -> None:
        """A forgotten monitor is unknown; its alert ends, and decided anew is the same again."""
        monitor, other = Monitor(working), Monitor(working)
        transition = (await monitor.fail(0)).transition
        state = (await other.fail(0)).state
        for _ in range(2):
            await working.alert_state.forget(*monitor.key)
            assert await working.alert_state.get(*monitor.key) == UNKNOWN
        assert await working.alert_state.get(*other.key) == state
        assert await working.outbox.backlog() == 3
        assert (await monitor.fail(0)).transition == transition
        assert await working.outbox.backlog() == 2

    async def test_texts_come_back_exactly(self, working: WorkingStores) -> None:
        """A cause is never changed: not in the state, nor in the transition, nor in the outbox."""
        for cause in (*HOSTILE_TEXTS, "\U0001f525" * 500, "/", ""):
            monitor = Monitor(working)
            decision = await monitor.fail(0, cause=cause)
            assert decision.state.cause == cause
            assert decision.transition is not None
            assert decision.transition.cause == cause
            assert await working.alert_state.get(*monitor.key) == decision.state
            claimed = await working.outbox.claim(request_id=str(monitor.id))
            assert [each.transition for each in claimed] == [decision.transition]
            assert (await monitor.fail(1, cause=None)).state.cause == ""

    async def test_instants_come_back_exactly(self, working: WorkingStores) -> None:
        """Every microsecond of two centuries survives, and the zone is UTC."""
        zone = timezone(timedelta(hours=-9, minutes=-30))
        for instant in (
            EARLIEST,
            LATEST,
            *(NOON + each * MICROSECOND for each in (1, 999, 1_000, 500_001, 999_999)),
        ):
            monitor = Monitor(working)
            await working.alert_state.suppress(*monitor.key, until=instant.astimezone(zone))
            decision = await monitor.fail(0, scheduled_at=instant)
            state = await working.alert_state.get(*monitor.key)
            assert decision.transition is not None
            assert decision.transition.alert_id == state.open_alert
            for read in (
                decision.transition.at,
                state.since,
                state.suppressed_until,
                state.locations[0].watermark,
            ):
                assert read is not None
                assert (read, read.tzinfo) == (instant, UTC)
            assert (await monitor.fail(0, scheduled_at=instant)).transition == decision.transition

    async def test_get_many(self, working: WorkingStores) -> None:
        """Every monitor asked for is in the answer, once, up to 1,000 of them."""
        monitor, get_many = Monitor(working), working.alert_state.get_many
        state = (await monitor.fail(0)).state
        unknown = [MonitorId.new() for _ in range(998)]
        states = await get_many(monitor.tenant_id, [*unknown, monitor.id, monitor.id])
        assert states == dict.fromkeys(unknown, UNKNOWN) | {monitor.id: state}
        assert await get_many(monitor.tenant_id, []) == {}
        error = await refusal_of(get_many(monitor.tenant_id, [monitor.id] * 1_001))
        assert isinstance(error, InvalidValueError)
        assert error.field == "monitor_ids"

    async def test_arguments(self, working: WorkingStores) -> None:
        """Another's outcome, and an instant without a zone, are refused by name."""
        monitor = Monitor(working)
        error = await refusal_of(
            working.alert_state.record(TenantId.new(), monitor.outcome(0), policy=ONE)
        )
        assert isinstance(error, InvalidValueError)
        assert error.field == "tenant_id"
        naive = NOON.replace(tzinfo=None)
        error = await refusal_of(working.alert_state.suppress(*monitor.key, until=naive))
        assert isinstance(error, InvalidValueError)
        assert error.field == "until"
        assert await working.alert_state.get(*monitor.key) == UNKNOWN

    async def test_seeds_at_once(self, working: WorkingStores) -> None:
        """Of many seeds at once exactly one wins."""
        monitor = Monitor(working)
        states = [AlertState(status=MonitorStatus.UP, cause=f"{each}") for each in range(20)]
        won = await asyncio.gather(
            *(working.alert_state.seed(*monitor.key, state=state) for state in states)
        )
        assert sum(won) == 1
        assert await working.alert_state.get(*monitor.key) == states[won.index(True)]

    async def test_isolation(self, working: WorkingStores) -> None:
        """To another tenant a monitor is unknown, and what they do to it is not seen."""
        cache, monitor, stranger = working.alert_state, Monitor(working), TenantId.new()
        state = (await monitor.fail(0)).state
        alert_id, theirs = state.open_alert, (stranger, monitor.id)
        assert alert_id is not None
        assert await cache.get(*theirs) == UNKNOWN
        assert await cache.get_many(stranger, [monitor.id]) == {monitor.id: UNKNOWN}
        foreign = await refusal_of(cache.acknowledge(*theirs, alert_id=alert_id))
        unknown = await refusal_of(cache.acknowledge(stranger, MonitorId.new(), alert_id=alert_id))
        assert str(foreign) == str(unknown)
        assert vars(foreign) == vars(unknown)
        assert isinstance(foreign, NotFoundError)
        await cache.forget(*theirs)
        await cache.suppress(*theirs, until=LATEST)
        await cache.suppress(*theirs, until=None)
        assert await cache.seed(*theirs, state=some_state(monitor))
        assert not await cache.replace(*theirs, known=state, state=UNKNOWN)
        await cache.record(
            stranger, an_outcome(*theirs, scheduled_at=LATEST, success=True), policy=ONE
        )
        assert await cache.get(*monitor.key) == state

    async def test_nil_tenant(self, working: WorkingStores) -> None:
        """The nil tenant is refused by every method."""
        cache, monitor = working.alert_state, Monitor(working)
        await assert_nil_refused(
            lambda nil: cache.record(nil, monitor.outcome(0), policy=ONE),
            lambda nil: cache.get(nil, monitor.id),
            lambda nil: cache.get_many(nil, [monitor.id]),
            lambda nil: cache.get_many(nil, []),
            lambda nil: cache.seed(nil, monitor.id, state=UNKNOWN),
            lambda nil: cache.replace(nil, monitor.id, known=UNKNOWN, state=UNKNOWN),
            lambda nil: cache.suppress(nil, monitor.id, until=None),
            lambda nil: cache.acknowledge(nil, monitor.id, alert_id=AlertId.new()),
            lambda nil: cache.forget(nil, monitor.id),
        )
