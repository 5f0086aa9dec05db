"""Keeps the working state in step with the record, and repairs it when it was lost."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeVar
from uuid import uuid4

from urlmon.domain.directory import MonitorChange
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.monitors import Monitor
from urlmon.domain.pages import Page
from urlmon.errors import NotFoundError
from urlmon.ports import Locks, MonitorDirectory, Schedule, WorkingState
from urlmon.services.agreement import Agreement
from urlmon.services.seeding import Seeding, together

_LOCK: Final = "urlmon: upkeep of the working state"
_TTL: Final = timedelta(seconds=10)
_PAGE: Final = 1_000
_HELD: Final = 20_000
"""Monitors that are kept in memory to be restored tenant by tenant."""
_TENANTS_AT_ONCE: Final = 4
_LOOK_SECONDS: Final = 2.0
_WAIT_SECONDS: Final = 0.05
_LOOKS_BETWEEN_COMPARISONS: Final = 1_800
_LOOKS_BETWEEN_DOUBTS: Final = 30

_Key = tuple[TenantId, MonitorId]
_T = TypeVar("_T")

_log = logging.getLogger("urlmon.upkeep")


class Upkeep:
    """What one process of all does for the working state; any number of them may try."""

    def __init__(
        self,
        *,
        working_state: WorkingState,
        directory: MonitorDirectory,
        schedule: Schedule,
        seeding: Seeding,
        agreement: Agreement,
        locks: Locks,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Keep the ports.

        Args:
            working_state: Knows what was lost.
            directory: What is to be checked, of all tenants.
            schedule: What is kept in step with the directory.
            seeding: Restores what was lost.
            agreement: Mends what contradicts the record.
            locks: Let one of many do it.
            pause: Waits for so many seconds.
        """
        self._working_state = working_state
        self._directory = directory
        self._schedule = schedule
        self._seeding = seeding
        self._agreement = agreement
        self._locks = locks
        self._pause = pause
        self._doubtful = list[_Key]()

    async def lead(self) -> None:
        """Look after the working state until cancelled; return at once where another does.

        Every two seconds it repairs what was lost and takes over what changed in the directory;
        every hour, first of all, and where another server took over, it compares the working state
        with all of the record.

        Raises:
            LeaseLostError: Another may have taken over.
            UnavailableError: A store did not answer; call again later.
        """
        async with self._locks.hold(_LOCK, ttl=_TTL) as lease:
            if lease is None:
                return
            while True:
                origin = await self._working_state.origin()
                cursor = await self._bring_in_step()
                for look in range(_LOOKS_BETWEEN_COMPARISONS):
                    await self._pause(_LOOK_SECONDS)
                    if (
                        not await self._working_state.is_whole()
                        or await self._working_state.origin() != origin
                    ):
                        break
                    cursor = await self.follow(cursor)
                    if (look + 1) % _LOOKS_BETWEEN_DOUBTS == 0:
                        await self._look_again()

    async def repair(self) -> None:
        """Return once the working state is whole: repair it, or wait for who does.

        Raises:
            LeaseLostError: Another may have taken over.
            UnavailableError: A store did not answer; call again later.
        """
        while not await self._working_state.is_whole():
            async with self._locks.hold(_LOCK, ttl=_TTL) as lease:
                if lease is not None:
                    await self._bring_in_step()
                    return
            await self._pause(_WAIT_SECONDS)

    async def until_whole(self, *, wait: timedelta) -> bool:
        """Wait for who repairs the working state, but not for longer than so; say whether it is.

        Raises:
            UnavailableError: The store did not answer; call again later.
        """
        for _ in range(round(wait.total_seconds() / _WAIT_SECONDS)):
            if await self._working_state.is_whole():
                return True
            await self._pause(_WAIT_SECONDS)
        return await self._working_state.is_whole()

    async def compare(self) -> str | None:
        """Compare the working state with all of the record: the record is right.

        What the schedule misses is added, what it should not have is removed.  Where the open alert
        is another than the record's (`urlmon.services.agreement`), the monitor is restored.

        Returns:
            From where `follow` goes on.

        Raises:
            UnavailableError: A store did not answer; call again later.
        """
        self._doubtful.clear()
        cursor: str | None = None
        held = list[_Key]()
        async for page in self._changes(None):
            await self._take_over(page.items)
            cursor = page.next_cursor
            held += [(each.tenant_id, each.monitor_id) for each in page.items]
            if len(held) >= _HELD:
                await self._agree(held)
                held.clear()
        await self._agree(held)
        return cursor

    async def follow(self, cursor: str | None) -> str | None:
        """Take over into the schedule what changed in the directory since a cursor.

        Raises:
            InvalidValueError: The directory is not the one that the cursor is from.
            UnavailableError: A store did not answer; call again later.
        """
        async for page in self._changes(cursor):
            await self._take_over(page.items)
            cursor = page.next_cursor
        return cursor

    async def _take_over(self, changes: Sequence[MonitorChange]) -> None:
        await self._seeding.schedule([each.monitor for each in changes if each.monitor is not None])
        idle = [each for each in changes if each.monitor is None]
        await together(self._let_go(each.tenant_id, each.monitor_id) for each in idle)

    async def _let_go(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Take a monitor off the schedule; how one that was removed stood is forgotten."""
        await self._schedule.remove(tenant_id, monitor_id)
        try:
            await self._directory.get(tenant_id, monitor_id)
        except NotFoundError:
            await self._seeding.forget(tenant_id, monitor_id)

    async def _look_again(self) -> None:
        """Look again at what was in doubt when it was compared."""
        doubtful, self._doubtful = self._doubtful, []
        await self._agree(doubtful)

    async def _agree(self, keys: Sequence[_Key]) -> None:
        """Mend the alerts of monitors that contradict the record, and note those in doubt."""
        owners = defaultdict[TenantId, list[MonitorId]](list)
        for tenant_id, monitor_id in keys:
            owners[tenant_id].append(monitor_id)

        async def restore(tenant_id: TenantId, monitor_ids: Sequence[MonitorId]) -> None:
            doubtful = await self._agreement.restore(tenant_id, monitor_ids)
            self._doubtful += [(tenant_id, each) for each in doubtful]

        before = self._agreement.restored
        await _of_each_tenant(restore, owners)
        if count := self._agreement.restored - before:
            _log.warning("%d monitors had older alerts than the record, and were restored", count)

    async def _bring_in_step(self) -> str | None:
        """Repair what was lost, or compare it all where nothing was; return where to follow on."""
        cursor = await self._repair()
        return await (self.compare() if cursor is None else self.follow(cursor))

    async def _repair(self) -> str | None:
        """Seed all that was lost, and declare it whole.

        Returns:
            Which changes in the directory are in what was seeded; None where nothing was lost.
        """
        whole, cursor = False, None
        while not whole:
            repair_id = uuid4().hex
            if not await self._working_state.begin_repair(repair_id):
                return cursor
            _log.info("the working state is not there, and is rebuilt from the record")
            seeded, cursor = await self._seed_all()
            whole = await self._working_state.finish_repair(repair_id)
            # A first use of a new installation is nothing to be warned of.
            level = logging.WARNING if seeded else logging.INFO
            how = "was rebuilt" if whole else "was lost again while it was rebuilt"
            _log.log(level, "the working state of %d monitors %s", seeded, how)
        return cursor

    async def _seed_all(self) -> tuple[int, str | None]:
        """Seed every active monitor, and what has an open alert though it is not active now.

        Returns:
            How many are active, and from where `follow` goes on.
        """
        seeded, held = 0, 0
        cursor: str | None = None
        owners = defaultdict[TenantId, list[Monitor]](list)
        async for page in self._changes(None):
            active = [each.monitor for each in page.items if each.monitor is not None]
            await self._seeding.schedule(active)
            await self._restore_idle([each for each in page.items if each.monitor is None])
            cursor = page.next_cursor
            for monitor in active:
                owners[monitor.tenant_id].append(monitor)
            seeded, held = seeded + len(active), held + len(active)
            if held >= _HELD:
                await _of_each_tenant(self._seeding.restore, owners)
                owners.clear()
                held = 0
                _log.info("rebuilding the working state: %d monitors so far", seeded)
        await _of_each_tenant(self._seeding.restore, owners)
        return seeded, cursor

    async def _restore_idle(self, changes: Sequence[MonitorChange]) -> None:
        """Restore what has an open alert and is not active: it needs its state when it is again."""
        owners = defaultdict[TenantId, list[MonitorId]](list)
        for each in changes:
            owners[each.tenant_id].append(each.monitor_id)
        for tenant_id, monitor_ids in owners.items():
            opened = await self._seeding.with_open_alerts(tenant_id, monitor_ids)
            await together(self._restore_one(tenant_id, each) for each in opened)

    async def _restore_one(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        try:
            monitor = await self._directory.get(tenant_id, monitor_id)
        except NotFoundError:  # removed meanwhile
            return
        await self._seeding.restore(tenant_id, [monitor])

    async def _changes(self, cursor: str | None) -> AsyncIterator[Page[MonitorChange]]:
        """Read the change feed to its end, page by page."""
        more = True
        while more:
            page = await self._directory.changes(cursor=cursor, limit=_PAGE)
            yield page
            cursor, more = page.next_cursor, len(page.items) == _PAGE


async def _of_each_tenant(
    call: Callable[[TenantId, Sequence[_T]], Coroutine[None, None, None]],
    owners: Mapping[TenantId, Sequence[_T]],
) -> None:
    """Make a call of up to 1,000 of each tenant's, some at a time."""
    await together(
        (
            call(tenant_id, each[first : first + _PAGE])
            for tenant_id, each in owners.items()
            for first in range(0, len(each), _PAGE)
        ),
        at_once=_TENANTS_AT_ONCE,
    )
