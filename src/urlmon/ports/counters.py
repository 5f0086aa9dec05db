"""The port for failures in a row."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from urlmon.domain.counters import FailureCount
from urlmon.domain.ids import MonitorId, TenantId


class FailureCounters(Protocol):
    """Counts each monitor's failures in a row, by the rules of `urlmon.domain.counters`.

    Checks are ordered by when they were due, and each counts once: of several for one instant, such
    as from several locations, the first that is recorded.  A count ends when `ttl` has passed since
    it last changed; after that, and after it was lost, it reads as `NO_COUNT`.

    Every call is atomic.  Every call can raise `UnavailableError`, and may then be made again;
    while the working state is lost (`WorkingState`) `record` and `reset` do, and change nothing.
    `InvalidValueError` is raised, before anything is sent, for a `tenant_id` that is no `TenantId`.
    """

    __slots__ = ()

    @abstractmethod
    async def record(
        self,
        tenant_id: TenantId,
        monitor_id: MonitorId,
        *,
        scheduled_at: datetime,
        success: bool,
        ttl: timedelta,
    ) -> FailureCount:
        """Count a failure, or begin at 0 again after a success.

        Repeatable by `scheduled_at`: a check that was counted, or is older than one that was,
        changes nothing, and does not put the end off.

        Args:
            tenant_id: The monitor's owner.
            monitor_id: What was checked.
            scheduled_at: When the check was due.
            success: Whether it succeeded.
            ttl: How long to keep the count, 1 second to 30 days in whole milliseconds:
                `urlmon.domain.counters.count_ttl` says how long it must be.

        Returns:
            The count now.

        Raises:
            InvalidValueError: An argument is out of its range.
        """

    @abstractmethod
    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> FailureCount:
        """Return a monitor's count; `NO_COUNT` where nothing is known."""

    @abstractmethod
    async def get_many(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, FailureCount]:
        """Return the counts of up to 1,000 monitors, each of them in the answer.

        Atomic for each monitor, not across them.

        Raises:
            InvalidValueError: More than 1,000 ids are given.
        """

    @abstractmethod
    async def reset(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, until: datetime, ttl: timedelta
    ) -> FailureCount:
        """Forget the failures of all checks due up to `until`, also of those that arrive later.

        Repeatable.  Where a check due after `until` was counted it changes nothing.

        Args:
            tenant_id: The monitor's owner.
            monitor_id: What is checked.
            until: Up to when, included.
            ttl: As for `record`: for so long a late failure is recognised.

        Returns:
            The count now.

        Raises:
            InvalidValueError: An argument is out of its range.
        """

    @abstractmethod
    async def seed(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, count: FailureCount, ttl: timedelta
    ) -> bool:
        """Store a count where there is none, also while the working state is lost.

        Repeatable, and safe from many callers: the first one wins.

        Args:
            tenant_id: The monitor's owner.
            monitor_id: What is checked.
            count: With a watermark.
            ttl: As for `record`, from now on.

        Returns:
            Whether the count is now the one given: seeded by this call, or by an equal earlier one.

        Raises:
            InvalidValueError: The count has no watermark, or `ttl` is out of its range.
        """
