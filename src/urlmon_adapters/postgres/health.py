"""The health of PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any, Final, LiteralString

import psycopg
from attrs import frozen

from urlmon.domain.health import ComponentHealth, HealthStatus, worst
from urlmon.errors import MigrationError, StoreError
from urlmon.ports import Clock, HealthCheck
from urlmon_adapters.postgres._database import AS_SERVICE, Connection, Pool
from urlmon_adapters.postgres._errors import translate
from urlmon_adapters.postgres._rows import fetch_all
from urlmon_adapters.postgres.migrations import Migrations, MigrationStatus
from urlmon_adapters.postgres.tenancy import find_gaps

_FEWEST_MONTHS_AHEAD: Final = 2
_LARGEST_OFFSET: Final = timedelta(seconds=5)

_SERVER: Final = """
SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS standby,
    clock_timestamp() AT TIME ZONE 'UTC' AS told_at
"""
# Months beyond a gap do not count.
_PARTITIONS: Final = """
WITH partitions AS MATERIALIZED (SELECT * FROM check_result_partitions())
SELECT greatest(coalesce(min(month), 25) - 1, 0) AS ahead,
    EXISTS (SELECT FROM months_in_default()) AS stray
FROM generate_series(0, 24) AS month
CROSS JOIN LATERAL (
    SELECT (
        date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => month)
    ) AT TIME ZONE 'UTC'
) AS first (instant)
WHERE NOT EXISTS (SELECT FROM partitions WHERE from_at <= instant AND to_at > instant)
"""


@frozen
class _Finding:
    """One fact by its name, and what is wrong with it, if anything is."""

    name: str
    fact: str
    status: HealthStatus = HealthStatus.PASS
    problem: str = ""


class PostgresHealthCheck(HealthCheck):
    """Looks at the server, the schema, the partitions and the pool."""

    __slots__ = ("_clock", "_migrations", "_pool")

    def __init__(self, pool: Pool, clock: Clock, migrations: Migrations) -> None:
        """Keep the parts; connect to nothing.

        Args:
            pool: What the adapters use; the check takes one connection of it for a moment.
            clock: What the server's clock is compared with.
            migrations: Tell how the schema stands, on a connection of their own.
        """
        self._pool = pool
        self._clock = clock
        self._migrations = migrations

    @property
    def name(self) -> str:
        return "postgresql"

    async def check(self) -> ComponentHealth:
        started = time.monotonic()
        version = None
        findings: list[_Finding] = []
        try:
            # First on a connection of its own: where none can be made it says why, and the pool
            # would only run out of time.
            schema = await self._migrations.status()
            async with self._pool.transaction() as connection:
                # Only the connection is wanted: one that was lost while unused has been replaced.
                await connection.commit()
                version = await self._look_at_server(connection, findings)
                findings.append(_schema(schema))
                if not schema.pending:
                    # Not by a call of its own: it would wait for a second connection.
                    async with connection.transaction():
                        await connection.execute(AS_SERVICE)
                        findings += _partitions(await _row(connection, _PARTITIONS))
                    findings.append(_tenancy(await find_gaps(connection)))
        except Exception as exc:  # noqa: BLE001 - a fault of the check itself is a result too
            findings.append(_Finding("", "", HealthStatus.FAIL, _explain(exc)))
        findings.append(_pool(self._pool.get_stats()))
        return ComponentHealth(
            name=self.name,
            status=worst(tuple(finding.status for finding in findings)),
            latency_us=int((time.monotonic() - started) * 1_000_000),
            version=version,
            details=tuple((each.name, each.fact) for each in findings if each.fact),
            problems=tuple(each.problem for each in findings if each.problem),
        )

    async def _look_at_server(self, connection: Connection, findings: list[_Finding]) -> str:
        """Add what the server says of itself; return its version."""
        asked, started = self._clock.now(), time.monotonic()
        row = await _row(connection, _SERVER)
        took = timedelta(seconds=time.monotonic() - started)
        findings.append(_Finding("round trip", f"{took.total_seconds() * 1_000:.1f} ms"))
        # The server told its time about half way between the question and the answer.
        findings.append(_clock(row["told_at"].replace(tzinfo=UTC) - asked - took / 2))
        if row["standby"]:
            problem = (
                "the server is a standby and takes no writes: let DATABASE_URL name the primary"
            )
            findings.append(_Finding("role", "standby", HealthStatus.FAIL, problem))
        return str(row["version"].split()[0])


async def _row(connection: Connection, query: LiteralString) -> Mapping[str, Any]:
    (row,) = await fetch_all(connection, query, {})
    return row


def _clock(offset: timedelta) -> _Finding:
    seconds = offset.total_seconds()
    if abs(offset) <= _LARGEST_OFFSET:
        return _Finding("clock offset", f"{seconds:+.3f} s")
    problem = f"the server's clock is {seconds:+.0f} s off this machine's: let both be synchronised"
    return _Finding("clock offset", f"{seconds:+.0f} s", HealthStatus.WARN, problem)


def _schema(schema: MigrationStatus) -> _Finding:
    fact = f"{len(schema.applied)} applied, {len(schema.pending)} pending"
    if schema.pending:
        problem = f"{len(schema.pending)} migrations are pending: run `urlmon migrate`"
        return _Finding("migrations", fact, HealthStatus.FAIL, problem)
    if schema.drifted or schema.diverged:
        problem = "the applied migrations differ from the files: see `urlmon migrate status`"
        return _Finding("migrations", f"{fact}, {schema.state}", HealthStatus.WARN, problem)
    return _Finding("migrations", fact)


def _partitions(row: Mapping[str, Any]) -> list[_Finding]:
    months = _Finding("partitions", f"{row['ahead']} months ahead")
    if row["ahead"] < _FEWEST_MONTHS_AHEAD:
        problem = "partitions of check_results run out: run `urlmon partitions ensure`"
        months = _Finding(months.name, months.fact, HealthStatus.WARN, problem)
    if not row["stray"]:
        return [months, _Finding("default partition", "empty")]
    problem = "some check results lie in the default partition: run `urlmon partitions ensure`"
    return [months, _Finding("default partition", "in use", HealthStatus.WARN, problem)]


def _tenancy(gaps: Sequence[str]) -> _Finding:
    if not gaps:
        return _Finding("row-level security", "on every table")
    problem = "tenants are kept apart by the queries alone: " + "; ".join(gaps)
    return _Finding("row-level security", f"{len(gaps)} gaps", HealthStatus.WARN, problem)


def _pool(stats: Mapping[str, int]) -> _Finding:
    size, free, waiting = (stats[f] for f in ("pool_size", "pool_available", "requests_waiting"))
    fact = f"{size} of {stats['pool_max']} connections, {free} free, {waiting} calls waiting"
    # A few calls that wait for a moment are no more than a pool that grows, or is well used.
    if waiting <= stats["pool_max"]:
        return _Finding("pool", fact)
    problem = f"{waiting} calls wait for a connection: raise the pool's size if this lasts"
    return _Finding("pool", fact, HealthStatus.WARN, problem)


def _explain(error: Exception) -> str:
    """Return what went wrong, in words that hold no secret."""
    if isinstance(error, psycopg.Error):
        return translate(error, "HealthCheck.check").detail
    if isinstance(error, StoreError):
        return error.detail
    if isinstance(error, MigrationError):
        return str(error)
    return f"the check itself failed with {type(error).__name__}"
