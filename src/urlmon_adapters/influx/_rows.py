"""Rows of an answer as check results again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import fields

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind, Phases
from urlmon.domain.ids import MonitorId, TenantId
from urlmon_adapters.influx._client import Rows
from urlmon_adapters.influx._lines import NO_INSTANT, NO_NUMBER, NO_TEXT, instant

_OUTCOMES: Final = {"true": True, "false": False}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
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
"""The columns of numbers, in their order in a result, with what stands for None in each."""
_NO_PHASES: Final = Phases()
_NO_PHASE: Final = [None] * len(_PHASES)
# What puts a value into each field without looking at it, in the order of the fields.
_PUT: Final = [getattr(CheckResult, each.name).__set__ for each in fields(CheckResult)]
_PUT_PHASE: Final = [getattr(Phases, each.name).__set__ for each in fields(Phases)]


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

    To let the domain look at every number takes several times as long as all the rest.  It is shown
    a result of the smallest ones of all columns and one of the largest: whatever lies in between is
    as good.  Of texts it sees each.

    Raises:
        ValueError, LookupError, TypeError, ArithmeticError: They were not written by urlmon, or
            are not what was asked for.
    """
    cells: dict[str, Sequence[Any]] = {
        name: [value] * len(rows.values) for name, value in dict(rows.tags).items()
    }
    cells |= zip(rows.columns, zip(*rows.values, strict=True), strict=True)
    pairs = list(zip(cells["tenant_id"], cells["monitor_id"], strict=True))
    owners = {
        pair: check_owner({"tenant_id": pair[0], "monitor_id": pair[1]}, tenant_id, monitor_ids)
        for pair in set(pairs)
    }
    columns, present = zip(
        *(_numbers(cells[name], none) for name, none in _NUMBERS.items()), strict=True
    )
    for choose in (min, max):
        extremes = [choose(numbers, default=None) for numbers in present]
        for location in set(cells["location"]):
            _shown(tenant_id, owners[pairs[0]], location, extremes)
    errors = map(_error, cells["success"], cells["error_kind"], cells["error_message"])
    locations, numbers = cells["location"], zip(*columns, strict=True)
    return [
        _trusted(tenant_id, owners[pair], location, error, each)
        for pair, location, error, each in zip(pairs, locations, errors, numbers, strict=True)
    ]


def _numbers(cells: Sequence[Any], none: int | None) -> tuple[Sequence[int | None], Sequence[int]]:
    """Return a column with None where that is what a number stands for, and all but that."""
    if set(map(type, cells)) != {int}:  # also where a field is missing: every one is written
        raise ValueError("a cell that is no whole number")
    if none not in cells:
        return cells, cells
    column = [None if cell == none else cell for cell in cells]
    return column, [cell for cell in column if cell is not None]


def _shown(
    tenant_id: TenantId, monitor_id: MonitorId, location: str, numbers: Sequence[Any]
) -> None:
    """Let the domain look at a result.

    Raises:
        ValueError, TypeError, ArithmeticError: It is none.
    """
    at, checked, status, time, *phases, expires, size = numbers
    CheckResult(
        tenant_id=tenant_id,
        monitor_id=monitor_id,
        location=location,
        scheduled_at=instant(at),
        checked_at=instant(checked),
        status_code=status,
        response_time_us=time,
        phases=Phases(**dict(zip(_PHASES, phases, strict=True))),
        tls_expires_at=None if expires is None else instant(expires),
        size_bytes=size,
    )


def _trusted(
    tenant_id: TenantId,
    monitor_id: MonitorId,
    location: str,
    error: CheckError | None,
    numbers: Sequence[Any],
) -> CheckResult:
    """Return a result of what the domain has been shown."""
    at, checked, status, time, *each, expires, size = numbers
    phases = _NO_PHASES
    if each != _NO_PHASE:
        phases = Phases.__new__(Phases)
        for put, value in zip(_PUT_PHASE, each, strict=True):
            put(phases, value)
    values = (
        tenant_id,
        monitor_id,
        location,
        _EPOCH + timedelta(0, 0, at),
        _EPOCH + timedelta(0, 0, checked),
        error,
        status,
        time,
        phases,
        None if expires is None else instant(expires),
        size,
    )
    result = CheckResult.__new__(CheckResult)
    for put, value in zip(_PUT, values, strict=True):
        put(result, value)
    return result


def _error(success: str, kind: str, message: str) -> CheckError | None:
    if not _OUTCOMES[success]:
        return CheckError(kind=ErrorKind(kind), message=message)
    if (kind, message) != (NO_TEXT, NO_TEXT):
        raise ValueError("a success with an error")
    return None
