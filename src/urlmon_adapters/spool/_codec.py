"""Check results as bytes: every field exactly, and of no store in particular.

A payload is the format's number in one byte, then the results one after the other: a fixed part,
the location (ASCII), the kind of the error (ASCII) and its message (UTF-8).  Numbers are
big-endian; instants are microseconds since 1970.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind
from urlmon.domain.ids import Id, MonitorId, TenantId
from urlmon.domain.unchecked import results_of
from urlmon.errors import CorruptDataError

FORMAT: Final = b"\x01"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
# Tenant, monitor; due, made, end of the certificate; status, times, size; lengths of the texts.
_FIXED: Final = struct.Struct(">16s16sqqqhqqqqqqqBBH")
_NONE: Final = -1
_NO_INSTANT: Final = -(2**63)
# A slice of these takes less than half a millisecond.
_AT_ONCE: Final = 50
_IDS: Final = {"tenant_id": TenantId, "monitor_id": MonitorId}
_WHOLE: Final = (
    *("status_code", "response_time_us", "dns_us", "connect_us", "tls_us", "ttfb_us"),
    *("transfer_us", "size_bytes"),
)
# In the order of a row.  A kind is never empty: where it is, there is no error.
_NAMES: Final = (
    *("tenant_id", "monitor_id", "scheduled_at", "checked_at", "tls_expires_at"),
    *_WHOLE,
    *("location", "kind", "message"),
)


def encode(results: Iterable[CheckResult]) -> bytes:
    """Return results as bytes, without the format's number."""
    return b"".join([part for result in results for part in _parts(result)])


def _parts(result: CheckResult) -> tuple[bytes, ...]:
    phases, error, expires = result.phases, result.error, result.tls_expires_at
    location = result.location.encode()
    kind = b"" if error is None else error.kind.encode()
    message = b"" if error is None else error.message.encode()
    fixed = _FIXED.pack(
        result.tenant_id.bytes,
        result.monitor_id.bytes,
        (result.scheduled_at - _EPOCH) // _MICROSECOND,
        (result.checked_at - _EPOCH) // _MICROSECOND,
        _NO_INSTANT if expires is None else (expires - _EPOCH) // _MICROSECOND,
        _whole(result.status_code),
        _whole(result.response_time_us),
        _whole(phases.dns_us),
        _whole(phases.connect_us),
        _whole(phases.tls_us),
        _whole(phases.ttfb_us),
        _whole(phases.transfer_us),
        _whole(result.size_bytes),
        len(location),
        len(kind),
        len(message),
    )
    return fixed, location, kind, message


def _whole(number: int | None) -> int:
    return _NONE if number is None else number


def decode(payload: bytes) -> Iterator[list[CheckResult]]:
    """Yield the results of a payload, fifty at a time.

    Put together field by field, as one by one it takes three times as long.

    Raises:
        CorruptDataError: It is not what this version writes.
    """
    if payload[:1] != FORMAT:
        raise _corrupt("its format is another version's")
    at, ids = 1, {name: dict[bytes, Id]() for name in _IDS}
    while at < len(payload):
        try:
            rows, at = _rows(payload, at)
            results = _results(rows, ids)
        except (struct.error, ValueError, OverflowError) as exc:
            raise _corrupt("a result in it cannot be read") from exc
        yield results


def _rows(payload: bytes, at: int) -> tuple[list[tuple[Any, ...]], int]:
    """Return the next rows, numbers as they are and texts as bytes, and where they end."""
    rows = list[tuple[Any, ...]]()
    while at < len(payload) and len(rows) < _AT_ONCE:
        *numbers, of_location, of_kind, of_message = _FIXED.unpack_from(payload, at)
        location = at + _FIXED.size
        kind = location + of_location
        message = kind + of_kind
        at = message + of_message
        rows.append((*numbers, payload[location:kind], payload[kind:message], payload[message:at]))
    if at > len(payload):
        raise _corrupt("it is too short")
    return rows, at


def _results(rows: list[tuple[Any, ...]], ids: Mapping[str, dict[bytes, Id]]) -> list[CheckResult]:
    """Return the results of rows; ids are made once for all that have them."""
    columns: dict[str, Any] = dict(zip(_NAMES, zip(*rows, strict=True), strict=True))
    for name, known in ids.items():
        for each in columns[name]:
            if each not in known:
                known[each] = _IDS[name](UUID(bytes=each))
        columns[name] = [known[each] for each in columns[name]]
    for name in ("scheduled_at", "checked_at"):
        columns[name] = [_EPOCH + each * _MICROSECOND for each in columns[name]]
    columns["tls_expires_at"] = [
        None if each == _NO_INSTANT else _EPOCH + each * _MICROSECOND
        for each in columns["tls_expires_at"]
    ]
    for name in _WHOLE:
        columns[name] = [None if each == _NONE else each for each in columns[name]]
    columns["location"] = [each.decode("ascii") for each in columns["location"]]
    columns["error"] = [
        CheckError(kind=ErrorKind(kind.decode("ascii")), message=message.decode()) if kind else None
        for kind, message in zip(columns.pop("kind"), columns.pop("message"), strict=True)
    ]
    return results_of(columns)


def _corrupt(what: str) -> CorruptDataError:
    return CorruptDataError("spool", "Spool.read", f"an entry cannot be used: {what}")
