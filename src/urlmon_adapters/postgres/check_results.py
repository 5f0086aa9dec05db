"""Check results in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from urlmon.domain.check_results import (
    CheckResult,
    Key,
    check_batch,
    check_location,
    history_page,
    history_position,
)
from urlmon.domain.fates import Fate, judge_batch, settle
from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.pages import Page, check_many, check_page_size
from urlmon.domain.periods import Period
from urlmon.ports import CheckResultStore, Clock
from urlmon.services.gently import gently
from urlmon_adapters.postgres._check_result_rows import SELECT_RESULTS, results_from
from urlmon_adapters.postgres._database import Database
from urlmon_adapters.postgres._ingest import Ingest
from urlmon_adapters.postgres._repeats import repeatable
from urlmon_adapters.postgres._rollups import ENTER
from urlmon_adapters.postgres._rows import fetch_all, fetch_tuples

_MICROSECOND: Final = timedelta(microseconds=1)
# Each month is an index to look into: older ones only for monitors without recent results.
_RECENT: Final = timedelta(days=2)
_LATEST: Final = (
    SELECT_RESULTS  # noqa: S608 - both parts are constants
    + """
FROM unnest(%(monitor_ids)b::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    WITH recent AS (
        SELECT * FROM check_results
        WHERE tenant_id = %(tenant_id)s AND monitor_id = asked.id
            AND check_results.scheduled_at >= %(recent)s
        ORDER BY check_results.scheduled_at DESC, success, location LIMIT 1
    )
    SELECT * FROM recent
    UNION ALL (
        SELECT * FROM check_results
        WHERE tenant_id = %(tenant_id)s AND monitor_id = asked.id
            AND NOT EXISTS (SELECT FROM recent)
        ORDER BY check_results.scheduled_at DESC, success, location LIMIT 1
    )
) AS newest
"""
)
_HISTORY: Final = (
    SELECT_RESULTS  # noqa: S608 - both parts are constants
    + """
FROM unnest(%(monitor_ids)b::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT * FROM check_results
    WHERE tenant_id = %(tenant_id)s AND monitor_id = asked.id
        AND check_results.scheduled_at >= %(since)s AND check_results.scheduled_at < %(until)s
        AND (%(success)s::boolean IS NULL OR success = %(success)s)
        AND (%(location)s::text IS NULL OR location = %(location)s)
        AND (
            check_results.scheduled_at = %(at)s
            AND (monitor_id, location) <= (%(owner)s::uuid, %(place)s)
        ) IS NOT TRUE
    ORDER BY check_results.scheduled_at DESC, location LIMIT %(count)s
) AS newest
ORDER BY newest.scheduled_at DESC, monitor_id, location LIMIT %(count)s
"""
)
# In steps, each of which goes on where the one before ended: it does not pass what that deleted.
# Nor does the first say "from the beginning of time": the planner would look there, too.  Instants
# stay text, as here they need not be ones that Python has.
_STEP_ROWS: Final = 5_000
_STEP: Final = """
SELECT count(*) AS found, min(scheduled_at)::text AS first, max(scheduled_at)::text AS until
FROM (
    SELECT scheduled_at FROM check_results
    WHERE tenant_id = %(tenant_id)s AND monitor_id = %(monitor_id)s
        AND (%(since)s::timestamptz IS NULL OR scheduled_at >= %(since)s::timestamptz)
    ORDER BY scheduled_at LIMIT %(rows)s
) AS oldest
"""
_FORGET: Final = """
DELETE FROM check_results
WHERE tenant_id = %(tenant_id)s AND monitor_id = %(monitor_id)s
    AND (%(since)s::timestamptz IS NULL OR scheduled_at >= %(since)s::timestamptz)
    AND scheduled_at <= %(until)s::timestamptz
"""
_HOURS: Final = """(
    date_bin('1 hour', %(first)s::timestamptz, '1970-01-05 00:00Z'),
    date_bin('1 hour', %(until)s::timestamptz, '1970-01-05 00:00Z') + interval '1 hour',
    ARRAY[%(tenant_id)s], ARRAY[%(monitor_id)s]
)"""
_FORGET_SUMS: Final = ("SELECT rebuild_hours" + _HOURS, "SELECT mark_rollups_stale" + _HOURS)


@repeatable
class PostgresCheckResultStore(CheckResultStore):
    """Keeps check results in the table `check_results`."""

    __slots__ = ("_clock", "_database", "_retention")

    def __init__(self, database: Database, clock: Clock, *, retention: timedelta) -> None:
        """Keep the parts; connect to nothing.

        Args:
            database: Where the table is.
            clock: Decides what is too old or too far ahead.
            retention: How long results are kept; dropping them is the upkeep's work.
        """
        self._database = database
        self._clock = clock
        self._retention = retention

    async def record(self, results: Sequence[CheckResult]) -> tuple[Fate, ...]:
        batch = check_batch(results)
        now, kept = self._clock.now(), dict[Key, CheckResult]()
        fates = await gently(judge_batch(batch, kept, now=now, retention=self._retention))
        ordered = sorted(kept)
        ingest = Ingest(self._database, "CheckResultStore.record")
        stored = await ingest.store([kept[key] for key in ordered]) if kept else []
        found = dict(zip(ordered, stored, strict=True))
        return tuple(await gently(settle(batch, fates, found)))

    async def latest(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, CheckResult]:
        operation = "CheckResultStore.latest"
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        values = {
            "tenant_id": tenant_id,
            "monitor_ids": list(monitor_ids),
            "recent": self._clock.now() - _RECENT,
        }
        async with self._database.tenant(operation, tenant_id) as connection:
            rows = await fetch_tuples(connection, _LATEST, values)
        found = results_from(rows, operation, tenant_id)
        return {result.monitor_id: result for result in found}

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
        operation = "CheckResultStore.history"
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        check_page_size(limit)
        check_location(location)
        at = owner = place = None
        until = period.until
        if cursor is not None:
            at, owner, place = history_position(cursor, monitor_ids)
            until = min(until, at + _MICROSECOND)
        values = {
            "tenant_id": tenant_id,
            "monitor_ids": list(dict.fromkeys(monitor_ids)),
            "since": period.since,
            "until": until,
            "success": success,
            "location": location,
            "at": at,
            "owner": owner,
            "place": place,
            "count": limit + 1,
        }
        async with self._database.tenant(operation, tenant_id) as connection:
            rows = await fetch_tuples(connection, _HISTORY, values)
        return history_page(results_from(rows, operation, tenant_id), monitor_ids, limit)

    async def forget_monitor(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        operation = "CheckResultStore.forget_monitor"
        values = {"tenant_id": tenant_id, "monitor_id": monitor_id, "rows": _STEP_ROWS}
        since: str | None = None
        found = _STEP_ROWS
        while found == _STEP_ROWS:
            async with self._database.tenant(operation, tenant_id) as connection:
                (step,) = await fetch_all(connection, _STEP, {**values, "since": since})
                found, until = step["found"], step["until"]
                if found:
                    here = {**values, **step, "since": since}
                    for statement in (_FORGET, ENTER, *_FORGET_SUMS):
                        await connection.execute(statement, here)
            since = until
