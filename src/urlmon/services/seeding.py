"""Seeds the working state from the record, for monitors that lost theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Final

from urlmon.domain.alerting import UNKNOWN, AlertPolicy, AlertState
from urlmon.domain.alerts import Alert
from urlmon.domain.check_results import CheckResult
from urlmon.domain.counters import NO_COUNT, FailureCount, count, count_ttl
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.monitors import Monitor
from urlmon.domain.periods import Period
from urlmon.domain.restoring import restored
from urlmon.domain.scheduling import ScheduleEntry
from urlmon.ports import AlertRepo, AlertStateCache, CheckResultStore, FailureCounters, Schedule

_AT_ONCE: Final = 16
_STREAK: Final = 20
"""Results of each location that are read where it matters: the highest threshold there is."""
_MISSED: Final = 5
_MICROSECOND: Final = timedelta(microseconds=1)


class Seeding:
    """Stores what there is not, and leaves what there is: it may be done again, and by many."""

    def __init__(
        self,
        *,
        schedule: Schedule,
        alert_state: AlertStateCache,
        counters: FailureCounters,
        alerts: AlertRepo,
        results: CheckResultStore,
    ) -> None:
        self._schedule = schedule
        self._alert_state = alert_state
        self._counters = counters
        self._alerts = alerts
        self._results = results

    async def schedule(self, monitors: Sequence[Monitor]) -> None:
        """Bring up to 1,000 active monitors of any tenants onto the schedule.

        Raises:
            UnavailableError: A store did not answer; call again later.
        """
        await self._schedule.seed([ScheduleEntry.of(monitor) for monitor in monitors])

    async def restore(self, tenant_id: TenantId, monitors: Sequence[Monitor]) -> None:
        """Restore how up to 1,000 monitors of a tenant stand, by their alerts and newest results.

        A count of failures is restored where the newest check failed; where it succeeded, or there
        was none, nothing is lost that the next check does not bring back.

        Raises:
            UnavailableError: A store did not answer; call again later.
        """
        ids = [monitor.id for monitor in monitors]
        opened = await self._alerts.open_for(tenant_id, ids)
        newest = await self._results.latest(tenant_id, ids)
        await together(
            self._restore(monitor, opened.get(monitor.id, ()), newest.get(monitor.id))
            for monitor in monitors
            if monitor.id in opened or monitor.id in newest
        )

    async def state_of(self, monitor: Monitor, alert: Alert | None) -> AlertState:
        """Return how a monitor stands by its open alert and its newest results.

        Raises:
            UnavailableError: The store did not answer; call again later.
        """
        newest = (await self._results.latest(monitor.tenant_id, [monitor.id])).get(monitor.id)
        results = await self._known(monitor, newest, more=alert is not None)
        return restored(AlertPolicy.of(monitor), alert, [each.outcome() for each in results])

    async def forget(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Forget how a monitor stands that was removed: nobody is reminded of its alert.

        Raises:
            UnavailableError: The store did not answer; call again later.
        """
        await self._alert_state.forget(tenant_id, monitor_id)

    async def with_open_alerts(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Sequence[MonitorId]:
        """Return those of up to 1,000 monitors of a tenant that have an open alert.

        Raises:
            UnavailableError: The store did not answer; call again later.
        """
        return tuple(await self._alerts.open_for(tenant_id, monitor_ids))

    async def _restore(
        self, monitor: Monitor, opened: tuple[Alert, ...], newest: CheckResult | None
    ) -> None:
        policy = AlertPolicy.of(monitor)
        alert = next((each for each in opened if each.rule == policy.rule), None)
        results = await self._known(monitor, newest, more=alert is not None)
        state = restored(policy, alert, [result.outcome() for result in results])
        if state != UNKNOWN:
            await self._alert_state.seed(monitor.tenant_id, monitor.id, state=state)
        if newest is not None and not newest.success:
            await self._counters.seed(
                monitor.tenant_id,
                monitor.id,
                count=_count(results),
                ttl=count_ttl(monitor.interval, monitor.failure_threshold),
            )

    async def _known(
        self, monitor: Monitor, newest: CheckResult | None, *, more: bool
    ) -> Sequence[CheckResult]:
        """Return the newest results: one where that says it all, else a streak of each location."""
        if newest is None:
            return ()
        if newest.success and len(monitor.locations) == 1 and not more:
            return (newest,)
        page = await self._results.history(
            monitor.tenant_id,
            (monitor.id,),
            period=Period(
                since=newest.scheduled_at - (_STREAK + _MISSED) * monitor.interval,
                until=newest.scheduled_at + _MICROSECOND,
            ),
            limit=_STREAK * len(monitor.locations),
        )
        return page.items


def _count(results: Iterable[CheckResult]) -> FailureCount:
    """Count the failures in a row."""
    known = NO_COUNT
    for each in sorted(results, key=attrgetter("scheduled_at", "location")):
        known = count(known, scheduled_at=each.scheduled_at, success=each.success)
    return known


async def together(
    calls: Iterable[Coroutine[None, None, object]], *, at_once: int = _AT_ONCE
) -> None:
    """Make calls, some at a time; the first that fails ends the others.

    Raises:
        UrlmonError: What the first that failed raised.
    """
    turns = asyncio.Semaphore(at_once)

    async def take_turn(call: Coroutine[None, None, object]) -> None:
        async with turns:
            await call

    calls = list(calls)
    tasks = [asyncio.ensure_future(take_turn(call)) for call in calls]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for call in calls:  # one that had no turn was never begun
            call.close()
