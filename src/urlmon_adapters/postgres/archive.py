"""The check results of all tenants in PostgreSQL."""

from __future__ import annotations

from typing import Final

from urlmon.domain.check_results import CheckResult, archive_page, archive_position
from urlmon.domain.pages import Page, check_page_size
from urlmon.domain.periods import Period
from urlmon.ports import CheckResultArchive
from urlmon_adapters.postgres._check_result_rows import SELECT_RESULTS, results_from
from urlmon_adapters.postgres._database import Database
from urlmon_adapters.postgres._repeats import repeatable
from urlmon_adapters.postgres._rows import fetch_tuples

# In the order of the primary key.  The first comparison lets the server leave partitions out.
_SCAN: Final = (
    SELECT_RESULTS
    + """, tenant_id
FROM check_results
WHERE check_results.scheduled_at >= %(since)s AND check_results.scheduled_at < %(until)s
    AND (
        %(at)s::timestamptz IS NULL
        OR (check_results.scheduled_at, tenant_id, monitor_id, location)
            > (%(at)s::timestamptz, %(tenant)s::uuid, %(monitor)s::uuid, %(place)s::text)
    )
ORDER BY check_results.scheduled_at, tenant_id, monitor_id, location LIMIT %(count)s
"""
)


@repeatable
class PostgresCheckResultArchive(CheckResultArchive):
    """Reads the table `check_results` as the role that serves all tenants."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def scan(
        self, *, period: Period, cursor: str | None = None, limit: int = 1_000
    ) -> Page[CheckResult]:
        operation = "CheckResultArchive.scan"
        check_page_size(limit)
        at, tenant, monitor, place = (None,) * 4 if cursor is None else archive_position(cursor)
        values = {
            "since": period.since if at is None else max(period.since, at),
            "until": period.until,
            "at": at,
            "tenant": tenant,
            "monitor": monitor,
            "place": place,
            "count": limit + 1,
        }
        async with self._database.everyone(operation) as connection:
            rows = await fetch_tuples(connection, _SCAN, values)
        return archive_page(results_from(rows, operation), limit)
