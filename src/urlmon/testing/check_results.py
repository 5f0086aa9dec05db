"""The fake of `CheckResultStore`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import chain

from urlmon.domain.check_results import (
    CheckResult,
    Key,
    check_batch,
    check_location,
    history_key,
    history_page,
    history_position,
    newest,
)
from urlmon.domain.fates import ALREADY_THERE, NEW, Fate, judge_batch, outranks, settle
from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.pages import Page, check_many, check_page_size
from urlmon.domain.periods import Period
from urlmon.ports import CheckResultStore
from urlmon.testing.state import InMemoryState


class InMemoryCheckResultStore(CheckResultStore):
    """Keeps check results in the state that the fakes share."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def record(self, results: Sequence[CheckResult]) -> tuple[Fate, ...]:
        batch = check_batch(results)
        async with self._state.faults.call("CheckResultStore.record"):
            state = self._state
            now, kept = state.clock.now(), dict[Key, CheckResult]()
            fates = [*judge_batch(batch, kept, now=now, retention=state.retention)]
            rows = state.results
            found: dict[Key, Fate] = {}
            for key, result in kept.items():
                identity = result.identity
                found[key] = ALREADY_THERE if identity in rows else NEW
                if identity not in rows or outranks(result, rows[identity]):
                    rows[identity] = result
            return tuple(settle(batch, fates, found))

    async def latest(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, CheckResult]:
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        async with self._state.faults.call("CheckResultStore.latest"):
            found = results_of(self._state, tenant_id, monitor_ids)
            return {each: newest(results) for each, results in found.items() if results}

    async def history(
        self,
        tenant_id: TenantId,
        monitor_ids: Sequence[MonitorId],
        *,
        period: Period,
        success: bool | None = None,
        location: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[CheckResult]:
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        check_page_size(limit)
        check_location(location)
        last = None if cursor is None else history_position(cursor, monitor_ids)
        async with self._state.faults.call("CheckResultStore.history"):
            found = results_of(self._state, tenant_id, monitor_ids).values()
            results = sorted(
                (
                    each
                    for each in chain.from_iterable(found)
                    if each.scheduled_at in period
                    and success in {None, each.success}
                    and location in {None, each.location}
                ),
                key=_order,
            )
            start = 0 if last is None else bisect_right(results, history_key(*last), key=_order)
            return history_page(results[start : start + limit + 1], monitor_ids, limit)

    async def forget_monitor(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        require_tenant(tenant_id)
        async with self._state.faults.call("CheckResultStore.forget_monitor"):
            rows = self._state.results
            for key in [key for key in rows if key[:2] == (tenant_id, monitor_id)]:
                del rows[key]


def _order(result: CheckResult) -> tuple[timedelta, MonitorId, str]:
    return history_key(result.scheduled_at, result.monitor_id, result.location)


def results_of(
    state: InMemoryState, tenant_id: TenantId, monitor_ids: Iterable[MonitorId]
) -> dict[MonitorId, list[CheckResult]]:
    """Return the results of each of some monitors, in the order of those."""
    found: dict[MonitorId, list[CheckResult]] = {each: [] for each in monitor_ids}
    for result in state.results.values():
        if result.tenant_id == tenant_id and result.monitor_id in found:
            found[result.monitor_id].append(result)
    return found
