"""Check results as bytes: every field exactly, and of no store in particular.

A payload is the format's number in one byte, then the results one after the other: a fixed part,
the location (ASCII), the kind of the error (ASCII) and its message (UTF-8).  Numbers are
big-endian; instants are microseconds since 1970.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind, Phases
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.errors import CorruptDataError, InvalidValueError

FORMAT: Final = b"\x01"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
# Tenant, monitor; due, made, end of the certificate; status, times, size; lengths of the texts.
_FIXED: Final = struct.Struct(">16s16sqqqhqqqqqqqBBH")
_NONE: Final = -1
_NO_INSTANT: Final = -(2**63)
# A kind is never empty, so this length says that there is no error.
_NO_ERROR: Final = 0


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


def decode(payload: bytes) -> Iterator[CheckResult]:
    """Yield the results of a payload, one by one.

    Raises:
        CorruptDataError: It is not what this version writes.
    """
    if payload[:1] != FORMAT:
        raise _corrupt("its format is another version's")
    at, end = 1, len(payload)
    while at < end:
        try:
            result, at = _result(payload, at)
        except (struct.error, ValueError, OverflowError, InvalidValueError) as exc:
            raise _corrupt("a result in it cannot be read") from exc
        if at > end:
            raise _corrupt("it is too short")
        yield result


def _result(payload: bytes, at: int) -> tuple[CheckResult, int]:
    (
        tenant_id,
        monitor_id,
        due,
        made,
        expires,
        status,
        response,
        *phases,
        size,
        place,
        kind,
        said,
    ) = _FIXED.unpack_from(payload, at)
    texts, at = at + _FIXED.size, at + _FIXED.size + place + kind + said
    error = None
    if kind != _NO_ERROR:
        error = CheckError(
            kind=ErrorKind(payload[texts + place : texts + place + kind].decode("ascii")),
            message=payload[texts + place + kind : at].decode(),
        )
    dns, connect, tls, ttfb, transfer = map(_maybe, phases)
    result = CheckResult(
        tenant_id=TenantId(UUID(bytes=tenant_id)),
        monitor_id=MonitorId(UUID(bytes=monitor_id)),
        location=payload[texts : texts + place].decode("ascii"),
        scheduled_at=_EPOCH + due * _MICROSECOND,
        checked_at=_EPOCH + made * _MICROSECOND,
        error=error,
        status_code=_maybe(status),
        response_time_us=_maybe(response),
        phases=Phases(
            dns_us=dns, connect_us=connect, tls_us=tls, ttfb_us=ttfb, transfer_us=transfer
        ),
        tls_expires_at=None if expires == _NO_INSTANT else _EPOCH + expires * _MICROSECOND,
        size_bytes=_maybe(size),
    )
    return result, at


def _maybe(number: int) -> int | None:
    return None if number == _NONE else number


def _corrupt(what: str) -> CorruptDataError:
    return CorruptDataError("spool", "Spool.read", f"an entry cannot be used: {what}")
