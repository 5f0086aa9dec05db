"""Rows of an answer as check results again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.unchecked import results_of
from urlmon_adapters.influx._client import Rows
from urlmon_adapters.influx._lines import NO_INSTANT, NO_NUMBER, NO_TEXT, instant

T = TypeVar("T")

_OUTCOMES: Final = {"true": True, "false": False}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_PHASES: Final = ("dns_us", "connect_us", "tls_us", "ttfb_us", "transfer_us")
_NUMBERS: Final = {
    "time": None,
    "checked_at_us": None,
    "status_code": NO_NUMBER,
    "response_time_us": NO_NUMBER,
    **dict.fromkeys(_PHASES, NO_NUMBER),
    "tls_expires_at_us": NO_INSTANT,
    "size_bytes": NO_NUMBER,
}
"""The columns of numbers, with what stands for None in each."""

Owner = tuple[TenantId, MonitorId]
"""A monitor, and whose it is."""


def owner_of(row: Mapping[str, Any]) -> Owner:
    """Return whose row it is.

    Raises:
        ValueError: It is nobody's.
    """
    return TenantId(row["tenant_id"]), MonitorId(row["monitor_id"])


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

    Of numbers and instants the domain sees the extremes (`results_of`), of texts each that differs.

    Raises:
        ValueError, LookupError, TypeError, ArithmeticError: They were not written by urlmon, or
            are not what was asked for.
    """
    count = len(rows.values)
    cells: dict[str, Sequence[Any]] = {
        name: [value] * count for name, value in dict(rows.tags).items()
    }
    cells |= zip(rows.columns, zip(*rows.values, strict=True), strict=True)
    tenants, monitors = cells["tenant_id"], cells["monitor_id"]
    owners = {
        monitor: check_owner({"tenant_id": tenant, "monitor_id": monitor}, tenant_id, monitor_ids)
        for tenant, monitor in set(zip(tenants, monitors, strict=True))
    }
    columns = {name: _numbers(cells[name], none) for name, none in _NUMBERS.items()}
    columns["tenant_id"] = [tenant_id] * count
    columns["monitor_id"] = [*map(owners.__getitem__, monitors)]
    columns["location"] = cells["location"]
    columns["scheduled_at"] = [_EPOCH + _MICROSECOND * us for us in columns["time"]]
    columns["checked_at"] = [_EPOCH + _MICROSECOND * us for us in columns["checked_at_us"]]
    columns["tls_expires_at"] = _each(_expiry, columns["tls_expires_at_us"])
    said = zip(cells["success"], cells["error_kind"], cells["error_message"], strict=True)
    columns["error"] = _each(_error, [*said])
    return results_of(columns)


def _numbers(cells: Sequence[Any], none: int | None) -> Sequence[Any]:
    """Return a column, with None where that is what a number stands for."""
    if set(map(type, cells)) != {int}:  # also where a field is missing: every one is written
        raise ValueError("a cell that is no whole number")
    return [None if cell == none else cell for cell in cells] if none in cells else cells


def _each(convert: Callable[[Any], T], cells: Sequence[Any]) -> list[T]:
    """Convert a column in which the same comes again and again."""
    known = {cell: convert(cell) for cell in set(cells)}
    return [*map(known.__getitem__, cells)]


def _expiry(us: int | None) -> datetime | None:
    return None if us is None else instant(us)


def _error(said: tuple[str, str, str]) -> CheckError | None:
    """Return what success, kind and message say.

    Raises:
        ValueError, LookupError: They contradict each other.
    """
    success, kind, message = said
    if not _OUTCOMES[success]:
        return CheckError(kind=ErrorKind(kind), message=message)
    if (kind, message) != (NO_TEXT, NO_TEXT):
        raise ValueError("a success with an error")
    return None
