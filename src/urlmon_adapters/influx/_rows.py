"""Rows of an answer as check results again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind, Phases
from urlmon.domain.ids import MonitorId, TenantId
from urlmon_adapters.influx._client import Rows
from urlmon_adapters.influx._lines import NO_INSTANT, NO_NUMBER, NO_TEXT, instant

_OUTCOMES: Final = {"true": True, "false": False}


def check_tenant(row: Mapping[str, Any], tenant_id: TenantId) -> None:
    """Refuse what no query of ours can give.

    Raises:
        ValueError: The row is another tenant's.
    """
    if row["tenant_id"] != str(tenant_id):
        raise ValueError("a row of another tenant")


def check_owner(
    row: Mapping[str, Any], tenant_id: TenantId, monitor_ids: Collection[MonitorId] | None = None
) -> MonitorId:
    """Return whose row it is.

    Raises:
        ValueError: It is another tenant's, or a monitor's that was not asked for.
    """
    check_tenant(row, tenant_id)
    monitor_id = MonitorId(row["monitor_id"])
    if monitor_ids is not None and monitor_id not in monitor_ids:
        raise ValueError("a row of another monitor")
    return monitor_id


def succeeded(row: Mapping[str, Any]) -> bool:
    """Return a row's tag `success`."""
    return _OUTCOMES[row["success"]]


def decode(
    rows: Rows, tenant_id: TenantId, monitor_ids: Collection[MonitorId]
) -> list[CheckResult]:
    """Return the results that some rows with all fields and tags hold.

    Raises:
        ValueError, LookupError, TypeError, ArithmeticError: They were not written by urlmon, or
            are not what was asked for.
    """
    return [
        _result(dict(zip(rows.columns, values, strict=True), **rows.tags), tenant_id, monitor_ids)
        for values in rows.values
    ]


def _result(
    row: Mapping[str, Any], tenant_id: TenantId, monitor_ids: Collection[MonitorId]
) -> CheckResult:
    return CheckResult(
        tenant_id=tenant_id,
        monitor_id=check_owner(row, tenant_id, monitor_ids),
        location=row["location"],
        scheduled_at=instant(row["time"]),
        checked_at=instant(row["checked_at_us"]),
        error=_error(row),
        status_code=_number(row["status_code"]),
        response_time_us=_number(row["response_time_us"]),
        phases=Phases(
            dns_us=_number(row["dns_us"]),
            connect_us=_number(row["connect_us"]),
            tls_us=_number(row["tls_us"]),
            ttfb_us=_number(row["ttfb_us"]),
            transfer_us=_number(row["transfer_us"]),
        ),
        tls_expires_at=(
            None if row["tls_expires_at_us"] == NO_INSTANT else instant(row["tls_expires_at_us"])
        ),
        size_bytes=_number(row["size_bytes"]),
    )


def _number(cell: object) -> Any:
    if cell is None:  # a field that is missing: every one is always written
        raise ValueError("a row without all fields")
    return None if cell == NO_NUMBER else cell


def _error(row: Mapping[str, Any]) -> CheckError | None:
    if not succeeded(row):
        return CheckError(kind=ErrorKind(row["error_kind"]), message=row["error_message"])
    if (row["error_kind"], row["error_message"]) != (NO_TEXT, NO_TEXT):
        raise ValueError("a success with an error")
    return None
