"""The port for check results as they were recorded."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

from urlmon.domain.check_results import CheckResult
from urlmon.domain.fates import Fate
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.pages import Page
from urlmon.domain.periods import Period


class CheckResultStore(Protocol):
    """Keeps check results for a limited time.  Another tenant's results are the same as none.

    A result past its time is gone sooner or later, by the store's own upkeep.

    Every call can raise `UnavailableError`, and may then be made again.  `InvalidValueError` is
    raised, before anything is sent, for a `tenant_id` that is no `TenantId`.
    """

    __slots__ = ()

    @abstractmethod
    async def record(self, results: Sequence[CheckResult]) -> tuple[Fate, ...]:
        """Store a batch of up to 5,000 results of any tenants and monitors.

        The identity of a result is (tenant, monitor, location, `scheduled_at`).  Recorded twice, it
        is stored once: a failure outranks a success, and among equals the first stands or the last,
        but never a mixture.  Repeatable.  No monitor needs to exist.

        Results outside of the time that the store keeps are refused one by one, by the store's
        clock (`urlmon.domain.fates.fate_at`), and so is one that the store itself would not take;
        the others are stored, together or, on `UnavailableError`, possibly in part.

        Returns:
            The fate of each result, in the order given.  A store that can tells what is new from
            what it had already, the first of one identity in a batch from the rest; one that cannot
            leaves `Fate.known` None.  After an `UnavailableError` that says it may have been
            applied, what is recorded again can so be known already.

        Raises:
            InvalidValueError: There are more than 5,000, or one is no `CheckResult`.
        """

    @abstractmethod
    async def latest(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, CheckResult]:
        """Return the newest result of each of up to 1,000 monitors.

        Newest by `scheduled_at`; of equals a failure before a success, then the location that sorts
        first.  Monitors without results are left out.

        Raises:
            InvalidValueError: More than 1,000 ids are given.
        """

    @abstractmethod
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
        """Return the results of one or up to 1,000 monitors in a period, newest first.

        Newest by `scheduled_at`; of one instant in order of the monitors' ids, then by location.

        Args:
            tenant_id: The owner.
            monitor_ids: The monitors; unknown ones have no results.
            period: Which results, by `scheduled_at`.
            success: Only those that succeeded, or that failed.
            location: Only those of one location.
            cursor: `next_cursor` of the page before.
            limit: Items of a page, 1 to 1,000.

        Raises:
            InvalidValueError: The limit is out of range, more than 1,000 ids are given, the
                location cannot exist, or the cursor is not from a history of these monitors.
        """

    @abstractmethod
    async def forget_monitor(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Delete a monitor's results, in several transactions where there are many.

        Repeatable; results recorded afterwards are kept.
        """
