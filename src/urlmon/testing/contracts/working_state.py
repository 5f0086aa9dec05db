"""The contract of `WorkingState`."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta

from urlmon.domain.alerting import UNKNOWN, AlertPolicy, AlertState, MonitorStatus
from urlmon.domain.counters import NO_COUNT, FailureCount
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.domain.leases import Lease
from urlmon.domain.scheduling import ClaimedCheck, ScheduleEntry
from urlmon.errors import STATE_LOST, InvalidValueError, LeaseLostError, UnavailableError
from urlmon.testing.builders import an_outcome
from urlmon.testing.clock import NOON
from urlmon.testing.contracts._checks import HOUR, LEASE, SECOND, Requests, Scheduled, now_of
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import WorkingStores
from urlmon.testing.contracts.texts import IMPOSSIBLE_TEXTS

POLICY = AlertPolicy(failure_threshold=1)
UP = AlertState(status=MonitorStatus.UP, since=NOON)
FAILED = FailureCount(failures=3, watermark=NOON)


async def repair(working: WorkingStores) -> bool:
    """Repair what was lost by seeding nothing."""
    await working.working_state.begin_repair("r")
    return await working.working_state.finish_repair("r")


class WorkingStateContract:
    """What every `WorkingState` must hold, and what the other ports do while it is lost."""

    async def test_whole(self, working: WorkingStores) -> None:
        """What is whole needs no repair, and stays whole."""
        state = working.working_state
        assert await state.is_whole()
        assert not await state.begin_repair("a")
        assert await state.finish_repair("a")
        assert await state.finish_repair("b")
        assert await state.is_whole()

    async def test_origin(self, working: WorkingStores) -> None:
        """The origin stays the same while the same servers hold the working state."""
        origin = await working.working_state.origin()
        await working.alert_state.seed(TenantId.new(), MonitorId.new(), state=UP)
        assert await working.working_state.origin() == origin
        assert origin

    async def test_repair(self, working: WorkingStores) -> None:
        """What was lost is whole again after a repair, each step of which may be repeated."""
        state = working.working_state
        await working.lose()
        assert not await state.is_whole()
        for _ in range(2):
            assert await state.begin_repair("a")
            assert not await state.is_whole()
        for _ in range(2):
            assert await state.finish_repair("a")
            assert await state.is_whole()
        assert not await state.begin_repair("a")

    async def test_repair_that_was_not_begun(self, working: WorkingStores) -> None:
        """Only the newest repair that was begun can be finished."""
        state = working.working_state
        await working.lose()
        assert not await state.finish_repair("a")
        assert await state.begin_repair("a")
        assert await state.begin_repair("b")
        for other in ("a", "ab", "whole", "repair b"):
            assert not await state.finish_repair(other)
            assert not await state.is_whole()
        assert await state.finish_repair("b")

    async def test_lost_again(self, working: WorkingStores) -> None:
        """A repair that went on while everything was lost again has repaired nothing."""
        state = working.working_state
        await working.lose()
        assert await state.begin_repair("a")
        await working.lose()
        assert not await state.finish_repair("a")
        assert not await state.is_whole()
        assert await state.begin_repair("a")
        assert await state.finish_repair("a")

    async def test_lost_state_is_not_begun_anew(self, working: WorkingStores) -> None:
        """What was lost reads as unknown, and nothing goes on from there."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        await working.advance(HOUR)
        claimed = await requests.one()
        await _break(working, monitor.key)
        await working.lose()
        for _ in range(2):
            for call in _refused(working, claimed):
                error = await refusal_of(call)
                assert isinstance(error, UnavailableError)
                assert error.detail == STATE_LOST
                assert not error.maybe_applied
            assert await working.alert_state.get(*monitor.key) == UNKNOWN
            assert await working.counters.get(*monitor.key) == NO_COUNT
            assert await working.outbox.backlog() == 0
            assert (await working.schedule.backlog()).scheduled == 0
            await working.working_state.begin_repair("a")  # which alone changes nothing
        assert await working.working_state.finish_repair("a")
        assert await working.alert_state.get(*monitor.key) == UNKNOWN
        assert await requests.none()
        assert isinstance(await refusal_of(working.schedule.complete(claimed)), LeaseLostError)

    async def test_lost_state_is_seeded(self, working: WorkingStores) -> None:
        """What is seeded before the repair is finished is what there is after it."""
        tenant_id, monitor_id = key = TenantId.new(), MonitorId.new()
        await working.lose()
        await working.working_state.begin_repair("a")
        entry = ScheduleEntry(tenant_id=tenant_id, monitor_id=monitor_id, interval=HOUR, version=2)
        other = MonitorId.new()
        for _ in range(2):
            await working.schedule.seed([entry])
            assert await working.schedule.upsert(tenant_id, other, interval=HOUR, version=1)
            await working.schedule.remove(tenant_id, other)
            assert await working.alert_state.seed(*key, state=UP)
            assert await working.counters.seed(*key, count=FAILED, ttl=LEASE)
        assert await working.alert_state.get(*key) == UP
        assert await working.counters.get(*key) == FAILED
        assert await working.working_state.finish_repair("a")
        assert await working.alert_state.get(*key) == UP
        assert (await working.schedule.backlog()).scheduled == 1
        failed = await working.counters.record(
            *key, scheduled_at=NOON + SECOND, success=False, ttl=LEASE
        )
        assert failed.failures == 4
        outcome = an_outcome(*key, scheduled_at=NOON + SECOND)
        decision = await working.alert_state.record(tenant_id, outcome, policy=POLICY)
        assert decision.transition is not None

    async def test_what_just_ends(self, working: WorkingStores) -> None:
        """Sessions, locks and cached values end, and can be made anew at once."""
        tenant_id = TenantId.new()
        login = await working.sessions.begin(tenant_id, "ann")
        await working.sessions.create(tenant_id, login, ttl=HOUR, lifetime=HOUR)
        await working.cache.set(tenant_id, "pages", "key", value=b"kept", ttl=HOUR)
        lease = await working.locks.acquire("job", ttl=LEASE)
        assert isinstance(lease, Lease)
        await working.lose()
        assert await working.sessions.find(login.token) is None
        assert await working.cache.get(tenant_id, "pages", "key") is None
        assert isinstance(await refusal_of(working.locks.renew(lease, ttl=LEASE)), LeaseLostError)
        again = await working.locks.acquire("job", ttl=LEASE)
        assert again is not None
        assert again.fence > lease.fence
        login = await working.sessions.begin(tenant_id, "ann")
        await working.sessions.create(tenant_id, login, ttl=HOUR, lifetime=HOUR)
        assert await working.cache.set(tenant_id, "pages", "key", value=b"kept", ttl=HOUR)

    async def test_lost_deny_list(self, working: WorkingStores) -> None:
        """Every token from before the loss counts as denied; those issued after it do not."""
        deny_list = working.deny_list
        before = await now_of(working)
        await deny_list.deny("denied", until=before + HOUR)
        await working.advance(HOUR / 2)
        await working.lose()
        await repair(working)
        assert await deny_list.is_denied("denied", issued_at=before)
        assert await deny_list.is_denied("never denied", issued_at=before)
        await working.advance(HOUR / 2)
        after = await now_of(working)
        assert await deny_list.is_denied("denied", issued_at=before)
        assert not await deny_list.is_denied("new", issued_at=after)

    async def test_arguments(self, working: WorkingStores) -> None:
        """Ids of repairs are text of limited length."""
        state = working.working_state
        await working.lose()
        assert await state.begin_repair("\U0001f525" * 100)
        for wrong in ("", "x" * 101, *IMPOSSIBLE_TEXTS):
            for call in (state.begin_repair(wrong), state.finish_repair(wrong)):
                error = await refusal_of(call)
                assert isinstance(error, InvalidValueError)
                assert error.field == "repair_id"
        assert await state.finish_repair("\U0001f525" * 100)


async def _break(working: WorkingStores, key: tuple[TenantId, MonitorId]) -> None:
    """Let a monitor fail: an alert is open, its transition waits, and the failure is counted."""
    outcome = an_outcome(*key, scheduled_at=NOON)
    decision = await working.alert_state.record(key[0], outcome, policy=POLICY)
    assert decision.transition is not None
    await working.counters.record(*key, scheduled_at=NOON, success=False, ttl=HOUR)
    assert await working.outbox.backlog() == 1


def _refused(working: WorkingStores, claimed: ClaimedCheck) -> list[Awaitable[object]]:
    """Return what must not go on from nothing."""
    key = claimed.tenant_id, claimed.monitor_id
    outcome = an_outcome(*key, scheduled_at=claimed.scheduled_at)
    minute = timedelta(minutes=1)
    return [
        working.alert_state.record(key[0], outcome, policy=POLICY),
        working.alert_state.replace(*key, known=UNKNOWN, state=UP),
        working.alert_state.suppress(*key, until=NOON),
        working.alert_state.suppress(*key, until=None),
        working.alert_state.acknowledge(*key, alert_id=AlertId.new()),
        working.alert_state.forget(*key),
        working.schedule.claim(request_id="r"),
        working.schedule.complete(claimed),
        working.schedule.complete(claimed, outcome=outcome, policy=POLICY),
        working.counters.record(*key, scheduled_at=NOON, success=False, ttl=minute),
        working.counters.reset(*key, until=NOON, ttl=minute),
    ]
