"""The port for alerts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from urlmon.domain.alerts import Alert, AlertStatus, Opening
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.domain.pages import Page
from urlmon.domain.periods import Period


class AlertRepo(Protocol):
    """Keeps alerts, one row an episode.  An alert of another tenant is the same as none.

    Every call is one transaction.  Every call can raise `UnavailableError`, and may then be made
    again.  `InvalidValueError` is raised, before anything is sent, for a `tenant_id` that is no
    `TenantId`, and where it is not the alert's own.
    """

    __slots__ = ()

    @abstractmethod
    async def open(self, tenant_id: TenantId, alert: Alert) -> Opening:
        """Store a new alert that is firing and has no notifications.

        Repeatable by id: once a row with the id exists it is returned as it is now, whatever became
        of it since, with `created=False`.

        Raises:
            NotFoundError: The tenant has no such monitor (`entity` = `"monitor"`).
            ConflictError: Another alert of the same monitor and rule is open; `current` is its
                status.
            AlreadyExistsError: The tenant's alert with the id is of another monitor or rule
                (`field` = `"id"`).
            InvalidValueError: The alert is not firing, or its count is not 0.
        """

    @abstractmethod
    async def acknowledge(
        self,
        tenant_id: TenantId,
        alert_id: AlertId,
        *,
        by: str,
        at: datetime,
        note: str | None = None,
    ) -> Alert:
        """Record that somebody took a firing alert on.

        Repeatable: the same acknowledgement again gives the alert as it is now.

        Raises:
            NotFoundError: The tenant has no such alert.
            ConflictError: It is resolved, or acknowledged with another name, note or time;
                `current` is its status.
            InvalidValueError: A value is out of its limits, or `at` is before the alert opened.
        """

    @abstractmethod
    async def resolve(self, tenant_id: TenantId, alert_id: AlertId, *, at: datetime) -> Alert:
        """Record that an alert ended.

        Repeatable: a resolved alert is returned as it is, with the instant recorded first.

        Args:
            tenant_id: The owner.
            alert_id: The alert.
            at: When it ended; an instant before the opening is recorded as the opening, because
                the outcome that ends an alert may have been due earlier, at another location.

        Raises:
            NotFoundError: The tenant has no such alert.
            InvalidValueError: The instant is naive.
        """

    @abstractmethod
    async def count_notification(
        self, tenant_id: TenantId, alert_id: AlertId, *, number: int
    ) -> Alert:
        """Record that notification `number` (1 for the first) was handed over.

        The count becomes `number` if that is more.  Repeatable.

        Raises:
            NotFoundError: The tenant has no such alert.
            InvalidValueError: The number is not from 1 to 2**31 - 1.
        """

    @abstractmethod
    async def get(self, tenant_id: TenantId, alert_id: AlertId) -> Alert:
        """Return an alert.

        Raises:
            NotFoundError: The tenant has none with this id.
        """

    @abstractmethod
    async def open_for(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, tuple[Alert, ...]]:
        """Return the open alerts of up to 1,000 monitors, each in order of rule, in one query.

        Monitors without any, and those that the tenant does not have, are left out.

        Raises:
            InvalidValueError: More than 1,000 ids are given.
        """

    @abstractmethod
    async def list(
        self,
        tenant_id: TenantId,
        *,
        monitor_id: MonitorId | None = None,
        status: AlertStatus | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Alert]:
        """Return the tenant's alerts, newest `opened_at` first; of equals the highest id first.

        Args:
            tenant_id: The owner; of an unknown tenant the list is empty.
            monitor_id: Only those of one monitor.
            status: Only those with this status.
            cursor: `next_cursor` of the page before.
            limit: Items of a page, 1 to 1,000.

        Raises:
            InvalidValueError: The limit is out of range, or the cursor is from another list.
        """

    @abstractmethod
    async def timeline(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId], *, period: Period
    ) -> tuple[Alert, ...]:
        """Return the alerts of up to 1,000 monitors that were open at some instant of a period.

        An alert is open from `opened_at` (included) to `resolved_at` (excluded); one that ended as
        it opened counts at that instant.  Oldest `opened_at` first, of equals the lowest id first,
        and the first 1,000 of them.

        Raises:
            InvalidValueError: More than 1,000 ids are given.
        """
