"""The fake of `CheckResultStore`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from urlmon.domain.check_results import (
    CheckResult,
    Fate,
    check_batch,
    check_location,
    history_page,
    history_position,
    judge_batch,
    newest,
    outranks,
)
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
            fates, kept = judge_batch(batch, now=state.clock.now(), retention=state.retention)
            rows = state.results
            for result in kept:
                key = result.identity
                if key not in rows or outranks(result, rows[key]):
                    rows[key] = result
            return fates

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
        monitor_id: MonitorId,
        *,
        period: Period,
        success: bool | None = None,
        location: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[CheckResult]:
        require_tenant(tenant_id)
        check_page_size(limit)
        check_location(location)
        start = None if cursor is None else history_position(cursor, monitor_id)
        async with self._state.faults.call("CheckResultStore.history"):
            results = [
                each
                for each in results_of(self._state, tenant_id, [monitor_id])[monitor_id]
                if each.scheduled_at in period
                and success in {None, each.success}
                and location in {None, each.location}
            ]
            results.sort(key=lambda each: each.location)
            results.sort(key=lambda each: each.scheduled_at, reverse=True)
            if start is not None:
                at, place = start
                results = [
                    each
                    for each in results
                    if each.scheduled_at < at or (each.scheduled_at == at and each.location > place)
                ]
            return history_page(results[: limit + 1], limit)

    async def forget_monitor(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        require_tenant(tenant_id)
        async with self._state.faults.call("CheckResultStore.forget_monitor"):
            rows = self._state.results
            for key in [key for key in rows if key[:2] == (tenant_id, monitor_id)]:
                del rows[key]


def results_of(
    state: InMemoryState, tenant_id: TenantId, monitor_ids: Iterable[MonitorId]
) -> dict[MonitorId, list[CheckResult]]:
    """Return the results of each of some monitors, in the order of those."""
    found: dict[MonitorId, list[CheckResult]] = {each: [] for each in monitor_ids}
    for result in state.results.values():
        if result.tenant_id == tenant_id and result.monitor_id in found:
            found[result.monitor_id].append(result)
    return found
