"""The port through which checkers see the monitors of all tenants."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from urlmon.domain.directory import MonitorChange
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.monitors import Monitor
from urlmon.domain.pages import Page


class MonitorDirectory(Protocol):
    """Reads monitors across tenants: for checkers, and to rebuild the working state.

    A monitor is active while it is enabled and its tenant is active.  Every call can raise
    `UnavailableError`, and may then be made again.
    """

    __slots__ = ()

    @abstractmethod
    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> Monitor:
        """Return a monitor, active or not.

        Raises:
            NotFoundError: The tenant has none with this id.
            InvalidValueError: `tenant_id` is no `TenantId`.
        """

    @abstractmethod
    async def list_active(self, *, cursor: str | None = None, limit: int = 1000) -> Page[Monitor]:
        """Return the active monitors of all tenants in order of their ids, then tenants.

        Args:
            cursor: `next_cursor` of the page before.
            limit: Items of a page, 1 to 1,000.

        Raises:
            InvalidValueError: The limit is out of range, or the cursor is from another list.
        """

    @abstractmethod
    async def changes(self, *, cursor: str | None = None, limit: int = 1000) -> Page[MonitorChange]:
        """Return what changed since a cursor, oldest change first.

        Each monitor appears at its newest change only.  A change is reported once its transaction
        and every earlier one have ended, and then is never missed.  It may be reported again.
        `next_cursor` is always given, also when nothing follows yet: keep it and ask again later.
        Without a cursor the feed begins with everything there is.

        A cursor belongs to one database cluster: after a restore from a backup, begin without one.

        Args:
            cursor: `next_cursor` of the page before.
            limit: Items of a page, 1 to 1,000.

        Raises:
            InvalidValueError: The limit is out of range, or the cursor is from another list or
                cluster.
        """
