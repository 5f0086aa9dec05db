"""Check results in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from urlmon.domain.check_results import (
    CheckError,
    CheckResult,
    ErrorKind,
    Identity,
    Phases,
    check_batch,
    check_location,
    history_page,
    history_position,
)
from urlmon.domain.fates import ALREADY_THERE, NEW, Fate, judge_batch, settle
from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.pages import Page, check_many, check_page_size
from urlmon.domain.periods import Period
from urlmon.ports import CheckResultStore, Clock
from urlmon_adapters.postgres._database import Database
from urlmon_adapters.postgres._repeats import repeatable
from urlmon_adapters.postgres._rows import fetch_all, reading

_MICROSECOND: Final = timedelta(microseconds=1)

# Arrays go in binary: as text they take four times as long to write here.
_INSERT: Final = """
INSERT INTO check_results AS kept (
    tenant_id, monitor_id, location, scheduled_at, checked_at, success, error_kind, error_message,
    status_code, response_time_us, dns_us, connect_us, tls_us, ttfb_us, transfer_us,
    tls_expires_at, size_bytes
)
SELECT * FROM unnest(
    %b::uuid[], %b::uuid[], %b::text[], %b::timestamptz[], %b::timestamptz[], %b::boolean[],
    %b::text[], %b::text[], %b::smallint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[],
    %b::bigint[], %b::bigint[], %b::timestamptz[], %b::bigint[]
)
ON CONFLICT (scheduled_at, tenant_id, monitor_id, location)
"""
# First what is new, and then the failures that may stand in the place of a success.
_RECORD: Final = (
    _INSERT
    + """
DO NOTHING RETURNING tenant_id, monitor_id, location, scheduled_at AT TIME ZONE 'UTC'
"""
)
_OUTRANK: Final = (
    _INSERT
    + """
DO UPDATE SET
    checked_at = excluded.checked_at, success = excluded.success,
    error_kind = excluded.error_kind, error_message = excluded.error_message,
    status_code = excluded.status_code, response_time_us = excluded.response_time_us,
    dns_us = excluded.dns_us, connect_us = excluded.connect_us, tls_us = excluded.tls_us,
    ttfb_us = excluded.ttfb_us, transfer_us = excluded.transfer_us,
    tls_expires_at = excluded.tls_expires_at, size_bytes = excluded.size_bytes
WHERE kept.success AND NOT excluded.success
"""
)
# Instants leave the server as UTC.  In the session's zone, the last hours of 9999 can be in 10000,
# which Python does not have, and psycopg reads instants with a zone in one date style only.
SELECT_RESULTS: Final = """
SELECT
    monitor_id, location, scheduled_at AT TIME ZONE 'UTC' AS scheduled_at,
    checked_at AT TIME ZONE 'UTC' AS checked_at, error_kind, error_message, status_code,
    response_time_us, dns_us, connect_us, tls_us, ttfb_us, transfer_us,
    tls_expires_at AT TIME ZONE 'UTC' AS tls_expires_at, size_bytes
"""
_LATEST: Final = (
    SELECT_RESULTS  # noqa: S608 - both parts are constants
    + """
FROM unnest(%(monitor_ids)s::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT * FROM check_results
    WHERE tenant_id = %(tenant_id)s AND monitor_id = asked.id
    ORDER BY check_results.scheduled_at DESC, success, location LIMIT 1
) AS newest
"""
)
_HISTORY: Final = (
    SELECT_RESULTS  # noqa: S608 - both parts are constants
    + """
FROM unnest(%(monitor_ids)s::uuid[]) AS asked (id)
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
SELECT count(*) AS found, max(scheduled_at)::text AS until FROM (
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
        fates, kept = judge_batch(batch, now=self._clock.now(), retention=self._retention)
        operation = "CheckResultStore.record"
        found: dict[Identity, Fate] = {each.identity: ALREADY_THERE for each in kept}
        if kept:
            async with self._database.everyone(operation) as connection:
                written = await connection.execute(_RECORD, _arrays(kept))
                for *owner, location, at in await written.fetchall():
                    found[*owner, location, _utc(at)] = NEW
                failures = [
                    each
                    for each in kept
                    if not each.success and found[each.identity] is ALREADY_THERE
                ]
                if failures:
                    await connection.execute(_OUTRANK, _arrays(failures))
        return settle(batch, fates, found)

    async def latest(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, CheckResult]:
        operation = "CheckResultStore.latest"
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        values = {"tenant_id": tenant_id, "monitor_ids": list(monitor_ids)}
        async with self._database.tenant(operation, tenant_id) as connection:
            rows = await fetch_all(connection, _LATEST, values)
        found = [result_from(row, tenant_id, operation) for row in rows]
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
            rows = await fetch_all(connection, _HISTORY, values)
        found = [result_from(row, tenant_id, operation) for row in rows]
        return history_page(found, monitor_ids, limit)

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
                    here = {**values, "since": since, "until": until}
                    await connection.execute(_FORGET, here)
            since = until


def _arrays(results: Iterable[CheckResult]) -> list[list[object]]:
    """Return the columns of results, each an array, in the order of `_RECORD`."""
    # In the order of the key, so that batches that overlap lock rows in one order: no deadlock.
    ordered = sorted(
        results,
        key=lambda each: (each.scheduled_at, each.tenant_id, each.monitor_id, each.location),
    )
    return [list(column) for column in zip(*map(_values, ordered), strict=True)]


def _values(result: CheckResult) -> tuple[object, ...]:
    error, phases = result.error, result.phases
    return (
        result.tenant_id,
        result.monitor_id,
        result.location,
        result.scheduled_at,
        result.checked_at,
        result.success,
        None if error is None else error.kind.value,
        None if error is None else error.message,
        result.status_code,
        result.response_time_us,
        phases.dns_us,
        phases.connect_us,
        phases.tls_us,
        phases.ttfb_us,
        phases.transfer_us,
        result.tls_expires_at,
        result.size_bytes,
    )


def result_from(row: Mapping[str, Any], tenant_id: TenantId, operation: str) -> CheckResult:
    """Return the result in a row.

    Raises:
        CorruptDataError: The row is not what this version writes.
    """
    kind = row["error_kind"]
    with reading(operation, "result of monitor", row["monitor_id"]):
        return CheckResult(
            tenant_id=tenant_id,
            monitor_id=MonitorId(row["monitor_id"]),
            location=row["location"],
            scheduled_at=_utc(row["scheduled_at"]),
            checked_at=_utc(row["checked_at"]),
            error=kind and CheckError(kind=ErrorKind(kind), message=row["error_message"]),
            status_code=row["status_code"],
            response_time_us=row["response_time_us"],
            phases=Phases(
                dns_us=row["dns_us"],
                connect_us=row["connect_us"],
                tls_us=row["tls_us"],
                ttfb_us=row["ttfb_us"],
                transfer_us=row["transfer_us"],
            ),
            tls_expires_at=row["tls_expires_at"] and _utc(row["tls_expires_at"]),
            size_bytes=row["size_bytes"],
        )


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
