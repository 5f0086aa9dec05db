"""Check results as rows, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind, Phases
from urlmon.domain.ids import MonitorId, TenantId
from urlmon_adapters.postgres._rows import reading

T = TypeVar("T")

# Instants leave the server as UTC.  In the session's zone, the last hours of 9999 can be in 10000,
# which Python does not have, and psycopg reads instants with a zone in one date style only.
SELECT_RESULTS: Final = """
SELECT
    monitor_id, location, scheduled_at AT TIME ZONE 'UTC' AS scheduled_at,
    checked_at AT TIME ZONE 'UTC' AS checked_at, error_kind, error_message, status_code,
    response_time_us, dns_us, connect_us, tls_us, ttfb_us, transfer_us,
    tls_expires_at AT TIME ZONE 'UTC' AS tls_expires_at, size_bytes
"""


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


def result_from(row: Mapping[str, Any], tenant_id: TenantId, operation: str) -> CheckResult:
    """Return the result in a row of `SELECT_RESULTS`.

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


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Cut a sequence into pieces of up to `size` items."""
    return [items[first : first + size] for first in range(0, len(items), size)]


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
