"""The fake of the port for what removed tenants and monitors leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from urlmon.domain._validators import check_instant
from urlmon.domain.leases import check_ttl
from urlmon.domain.pages import check_page_size
from urlmon.domain.removals import RemovedMonitor, check_due
from urlmon.ports import Removals
from urlmon.testing.state import InMemoryState


class InMemoryRemovals(Removals):
    """Knows removed monitors in memory; of a removed tenant nothing else is left there."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def clear(self, *, limit: int = 1000) -> int:
        check_page_size(limit)
        async with self._state.faults.call("Removals.clear"):
            return 0

    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int = 100
    ) -> tuple[RemovedMonitor, ...]:
        check_page_size(limit)
        until = check_instant("now", now) + check_ttl(lease, field="lease")
        async with self._state.faults.call("Removals.claim"):
            rows = self._state.removed
            due = sorted((due_at, key) for key, (_, due_at) in rows.items() if due_at <= now)[
                :limit
            ]
            claimed = []
            for _, key in due:
                removed_at, _ = rows[key]
                rows[key] = removed_at, until
                claimed.append(
                    RemovedMonitor(tenant_id=key[0], monitor_id=key[1], removed_at=removed_at)
                )
            return tuple(claimed)

    async def settle(self, due: Mapping[RemovedMonitor, datetime | None]) -> None:
        check_due(due)
        async with self._state.faults.call("Removals.settle"):
            rows = self._state.removed
            for removed, due_at in due.items():
                key = removed.tenant_id, removed.monitor_id
                if key not in rows or rows[key][0] != removed.removed_at:
                    continue
                if due_at is None:
                    del rows[key]
                else:
                    rows[key] = removed.removed_at, due_at
