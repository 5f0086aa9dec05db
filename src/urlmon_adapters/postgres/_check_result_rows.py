"""Check results as rows, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any, Final, TypeVar

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.unchecked import results_of
from urlmon_adapters.postgres._rows import reading

T = TypeVar("T")
U = TypeVar("U")

# Instants leave the server as UTC.  In the session's zone, the last hours of 9999 can be in 10000,
# which Python does not have, and psycopg reads instants with a zone in one date style only.
SELECT_RESULTS: Final = """
SELECT
    monitor_id, location, scheduled_at AT TIME ZONE 'UTC' AS scheduled_at,
    checked_at AT TIME ZONE 'UTC' AS checked_at, error_kind, error_message, status_code,
    response_time_us, dns_us, connect_us, tls_us, ttfb_us, transfer_us,
    tls_expires_at AT TIME ZONE 'UTC' AS tls_expires_at, size_bytes
"""
_NAMES: Final = (
    *("monitor_id", "location", "scheduled_at", "checked_at", "error_kind", "error_message"),
    *("status_code", "response_time_us", "dns_us", "connect_us", "tls_us", "ttfb_us"),
    *("transfer_us", "tls_expires_at", "size_bytes", "tenant_id"),
)


def phases_of(result: CheckResult) -> tuple[int | None, ...]:
    """Return the phases of a result, in the order of their columns."""
    phases = result.phases
    return phases.dns_us, phases.connect_us, phases.tls_us, phases.ttfb_us, phases.transfer_us


def values_of(result: CheckResult) -> tuple[object, ...]:
    """Return the columns of a result, in the order of `urlmon_adapters.postgres._ingest`."""
    error = result.error
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
        *phases_of(result),
        result.tls_expires_at,
        result.size_bytes,
    )


def results_from(
    rows: Sequence[tuple[Any, ...]], operation: str, tenant_id: TenantId | None = None
) -> list[CheckResult]:
    """Return the results in rows of `SELECT_RESULTS`.

    Args:
        rows: Each with its tenant as a last column where that is not the same for all.
        operation: Who asks.
        tenant_id: Whose they all are.

    Raises:
        CorruptDataError: A row is not what this version writes.
    """
    try:
        return _results(rows, tenant_id)
    except (ValueError, TypeError):
        for row in rows:  # one by one, so that the error names a monitor
            with reading(operation, "result of monitor", row[0]):
                _results([row], tenant_id)
        raise


def _results(rows: Sequence[tuple[Any, ...]], tenant_id: TenantId | None) -> list[CheckResult]:
    """Put results together column by column: row by row it takes three times as long."""
    if not rows:
        return []
    columns: dict[str, Sequence[Any]] = dict(zip(_NAMES, zip(*rows, strict=True), strict=False))
    if tenant_id is None:
        columns["tenant_id"] = _each(TenantId, columns["tenant_id"])
    else:
        columns["tenant_id"] = [tenant_id] * len(rows)
    columns["monitor_id"] = _each(MonitorId, columns["monitor_id"])
    for name in ("scheduled_at", "checked_at"):
        columns[name] = [at.replace(tzinfo=UTC) for at in columns[name]]
    columns["tls_expires_at"] = [at and at.replace(tzinfo=UTC) for at in columns["tls_expires_at"]]
    said = zip(columns["error_kind"], columns["error_message"], strict=True)
    columns["error"] = _each(_error, [*said])
    return results_of(columns)


def _each(convert: Callable[[T], U], column: Sequence[T]) -> list[U]:
    """Convert a column, and what comes again in it once."""
    known = {value: convert(value) for value in set(column)}
    return [*map(known.__getitem__, column)]


def _error(said: tuple[str | None, str | None]) -> CheckError | None:
    kind, message = said
    return None if kind is None else CheckError(kind=ErrorKind(kind), message=message or "")


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Cut a sequence into pieces of up to `size` items."""
    return [items[first : first + size] for first in range(0, len(items), size)]
