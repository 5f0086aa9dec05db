"""Check results as lines of InfluxDB's line protocol.

Every line has every field, with a stand-in for what there is not: the server unites the fields of
points with the same tags and time, and so the last line stands alone, never mixed with another.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from urlmon.domain.check_results import CheckResult

NO_NUMBER: Final = -1
"""Stands for None in every number that cannot be negative."""
NO_INSTANT: Final = -(2**63)
"""Stands for None where an instant before 1970 is possible."""
NO_TEXT: Final = ""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Return an instant as whole microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def instant(us: int) -> datetime:
    """Return the instant that `microseconds` gave for."""
    return _EPOCH + timedelta(microseconds=us)


def encode(results: Iterable[CheckResult]) -> bytes:
    """Return the lines of some results, with timestamps in microseconds."""
    return "\n".join(map(_line, results)).encode()


def _line(result: CheckResult) -> str:
    phases, expires, error = result.phases, result.tls_expires_at, result.error
    # Of the tags none needs escaping: ids, and a location is of a-z, 0-9, dot, underscore, hyphen.
    return (
        f"check_results,location={result.location},monitor_id={result.monitor_id},"
        f"success={'true' if error is None else 'false'},tenant_id={result.tenant_id}"
        f" checked_at_us={microseconds(result.checked_at)}i"
        f",status_code={_number(result.status_code)}"
        f",response_time_us={_number(result.response_time_us)}"
        f",dns_us={_number(phases.dns_us)}"
        f",connect_us={_number(phases.connect_us)}"
        f",tls_us={_number(phases.tls_us)}"
        f",ttfb_us={_number(phases.ttfb_us)}"
        f",transfer_us={_number(phases.transfer_us)}"
        f",tls_expires_at_us={NO_INSTANT if expires is None else microseconds(expires)}i"
        f",size_bytes={_number(result.size_bytes)}"
        f",error_kind={_text(NO_TEXT if error is None else error.kind)}"
        f",error_message={_text(NO_TEXT if error is None else error.message)}"
        f" {microseconds(result.scheduled_at)}"
    )


def _number(value: int | None) -> str:
    return f"{NO_NUMBER if value is None else value}i"


def _text(value: str) -> str:
    # A line break stands for itself inside of quotes.
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
