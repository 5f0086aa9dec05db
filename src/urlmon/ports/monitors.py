"""The port for a tenant's monitors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from urlmon.domain.ids import ChannelId, MonitorId, TenantId
from urlmon.domain.monitors import Monitor
from urlmon.domain.pages import Page


class MonitorRepo(Protocol):
    """Keeps monitors.  A monitor of another tenant is the same as none.

    Every call is one transaction.  Every call can raise `UnavailableError`, and may then be made
    again.  `InvalidValueError` is raised, before anything is sent, for a `tenant_id` that is no
    `TenantId`, and where `tenant_id` is not the monitor's own.
    """

    __slots__ = ()

    @abstractmethod
    async def add(self, tenant_id: TenantId, monitor: Monitor) -> Monitor:
        """Store a new monitor; `monitor.version` must be 1.

        The tenant's limits are checked in the same transaction, under races too.
        Repeatable: the same monitor again gives the same answer, as long as it was not changed.

        Returns:
            The monitor as stored: equal to the argument.

        Raises:
            NotFoundError: There is no such tenant (`entity` = `"tenant"`), or a channel is not the
                tenant's (`"channel"`).
            AlreadyExistsError: Another monitor of the tenant has the id (`field` = `"id"`) or
                the name (`"name"`).
            LimitExceededError: The tenant has `max_monitors` monitors, or the interval is below its
                `shortest_interval`.
            InvalidValueError: The version is not 1.
        """

    @abstractmethod
    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> Monitor:
        """Return a monitor.

        Raises:
            NotFoundError: The tenant has none with this id.
        """

    @abstractmethod
    async def get_many(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, Monitor]:
        """Return those of up to 1,000 monitors that the tenant has, in one query.

        Raises:
            InvalidValueError: More than 1,000 ids are given.
        """

    @abstractmethod
    async def list(
        self,
        tenant_id: TenantId,
        *,
        enabled: bool | None = None,
        tag: str | None = None,
        channel_id: ChannelId | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Monitor]:
        """Return the tenant's monitors in order of their ids, which is the order of their making.

        Args:
            tenant_id: The owner; of an unknown tenant the list is empty.
            enabled: Only those that are enabled, or that are not.
            tag: Only those with this tag.
            channel_id: Only those that notify this channel.
            cursor: `next_cursor` of the page before.
            limit: Items of a page, 1 to 1,000.

        Raises:
            InvalidValueError: The limit is out of range, the tag is none, or the cursor is from
                another list.
        """

    @abstractmethod
    async def update(self, tenant_id: TenantId, monitor: Monitor) -> Monitor:
        """Replace everything but id, tenant and `created_at` of the stored version.

        `monitor.version` is the version that the caller has seen.  Repeatable: the same update
        again gives the same answer, as long as nothing came between.

        Returns:
            The monitor as stored, its version one higher.

        Raises:
            NotFoundError: The tenant has no such monitor, or no such channel (`entity` tells).
            ConflictError: The stored version is another one; `current` is it.
            AlreadyExistsError: Another monitor of the tenant has the name (`field` = `"name"`).
            LimitExceededError: The interval is below the tenant's `shortest_interval`.
        """

    @abstractmethod
    async def set_enabled(
        self,
        tenant_id: TenantId,
        monitor_id: MonitorId,
        *,
        enabled: bool,
        at: datetime,
        reason: str | None = None,
    ) -> Monitor:
        """Resume or pause a monitor, whatever its version.

        Repeatable: a monitor that is enabled already, or paused for this reason, is returned
        unchanged.  Otherwise its version goes up by one and `updated_at` becomes `at`.

        Raises:
            NotFoundError: The tenant has none with this id.
            InvalidValueError: A reason is given with `enabled=True`, or is over 500 characters, or
                the instant is naive.
        """

    @abstractmethod
    async def remove(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Remove a monitor and its alerts, in one transaction.

        Its check results are deleted by the sweep (`urlmon.services.sweep`), also those that are
        recorded later.  Repeatable: a monitor that does not exist is left that way.
        """
