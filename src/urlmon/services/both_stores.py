"""Check results in two stores at once: one is the record, the other serves the statistics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from urlmon.domain.check_results import CheckResult
from urlmon.domain.fates import Fate
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.pages import Page
from urlmon.domain.periods import Period
from urlmon.errors import UnavailableError
from urlmon.ports import CheckResultStore


class BothStores(CheckResultStore):
    """Writes to the record and to the series, and reads from the record.

    A batch is recorded when both have it: where one fails the call fails, whatever the other did,
    and may be made again.  A `ResultWriter` over the two does better: the one that is up does not
    wait for the other.

    A result that either refuses has that fate, the record's where both do; else the record's fate.
    """

    __slots__ = ("_record", "_series")

    def __init__(self, record: CheckResultStore, series: CheckResultStore) -> None:
        """Keep the two.

        Args:
            record: Answers `latest` and `history`.
            series: What statistics are worked out from.
        """
        self._record = record
        self._series = series

    async def record(self, results: Sequence[CheckResult]) -> tuple[Fate, ...]:
        """Record in both, at the same time."""
        # Neither is cut short because the other fails.
        outcomes = await asyncio.gather(
            self._record.record(results), self._series.record(results), return_exceptions=True
        )
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failed:
            applied = len(failed) < len(outcomes) or any(map(_applied, failed))
            raise _told(failed[0], maybe_applied=applied)
        fates = (outcome for outcome in outcomes if not isinstance(outcome, BaseException))
        return tuple(
            series if record.stored and not series.stored else record
            for record, series in zip(*fates, strict=True)
        )

    async def latest(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, CheckResult]:
        """Return what the record has."""
        return await self._record.latest(tenant_id, monitor_ids)

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
        """Return what the record has."""
        return await self._record.history(
            tenant_id,
            monitor_ids,
            period=period,
            success=success,
            location=location,
            cursor=cursor,
            limit=limit,
        )

    async def forget_monitor(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Forget it in both."""
        await self._series.forget_monitor(tenant_id, monitor_id)
        await self._record.forget_monitor(tenant_id, monitor_id)


def _applied(error: BaseException) -> bool:
    return isinstance(error, UnavailableError) and error.maybe_applied


def _told(error: BaseException, *, maybe_applied: bool) -> BaseException:
    """Return a failure that says whether either store can have the batch."""
    if not isinstance(error, UnavailableError) or error.maybe_applied is maybe_applied:
        return error
    told = UnavailableError(
        error.store,
        error.operation,
        error.detail,
        maybe_applied=maybe_applied,
        retry_after=error.retry_after,
    )
    told.__cause__ = error
    return told
