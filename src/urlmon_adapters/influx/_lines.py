"""Check results as lines of InfluxDB's line protocol.

Every line has every field, with a stand-in for what there is not: the server unites the fields of
points with the same tags and time, and so the last line stands alone, never mixed with another.

Only what the domain has let through is written.  Of the tags none can need escaping: ids, and a
location is of a-z, 0-9, dot, underscore, hyphen.  Of the fields only the error's message is free
text, and stands in quotes, where backslash and quote are escaped and a line break stands for itself
(https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
_LINES_AT_ONCE: Final = 500
_NO_ERROR: Final = 'error_kind="",error_message=""'
# What the fields of a line follow; to make it takes as long as all the rest of the line.
_MOST_SERIES: Final = 100_000
_Series = tuple[int, int, str, bool]
_series: Final[dict[_Series, str]] = {}


def microseconds(at: datetime) -> int:
    """Return an instant as whole microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def instant(us: int) -> datetime:
    """Return the instant that `microseconds` gave for."""
    return _EPOCH + timedelta(microseconds=us)


def encode(results: Sequence[CheckResult]) -> Iterator[bytes]:
    """Make the lines of some results, each with its end, with timestamps in microseconds.

    They come in parts that take a millisecond or two each.
    """
    for start in range(0, len(results), _LINES_AT_ONCE):
        yield "".join(map(_line, results[start : start + _LINES_AT_ONCE])).encode()


def _line(result: CheckResult) -> str:
    error = result.error
    key = (result.monitor_id.int, result.tenant_id.int, result.location, error is None)
    series = _series.get(key) or _remember(key, result)
    if error is None:
        said = _NO_ERROR
    else:
        message = error.message.replace("\\", "\\\\").replace('"', '\\"')
        said = f'error_kind="{error.kind.value}",error_message="{message}"'
    phases, expires = result.phases, result.tls_expires_at
    status, time, size = result.status_code, result.response_time_us, result.size_bytes
    dns, connect, tls = phases.dns_us, phases.connect_us, phases.tls_us
    ttfb, transfer = phases.ttfb_us, phases.transfer_us
    # Written out, as calling a function for each number would take half as long again.
    return (
        f"{series} checked_at_us={(result.checked_at - _EPOCH) // _MICROSECOND}i"
        f",status_code={NO_NUMBER if status is None else status}i"
        f",response_time_us={NO_NUMBER if time is None else time}i"
        f",dns_us={NO_NUMBER if dns is None else dns}i"
        f",connect_us={NO_NUMBER if connect is None else connect}i"
        f",tls_us={NO_NUMBER if tls is None else tls}i"
        f",ttfb_us={NO_NUMBER if ttfb is None else ttfb}i"
        f",transfer_us={NO_NUMBER if transfer is None else transfer}i"
        f",tls_expires_at_us={NO_INSTANT if expires is None else microseconds(expires)}i"
        f",size_bytes={NO_NUMBER if size is None else size}i"
        f",{said} {(result.scheduled_at - _EPOCH) // _MICROSECOND}\n"
    )


def _remember(key: _Series, result: CheckResult) -> str:
    """Return a line's measurement and tags, in the order that the server sorts them in."""
    if len(_series) >= _MOST_SERIES:
        _series.clear()
    series = _series[key] = (
        f"check_results,location={result.location},monitor_id={result.monitor_id},"
        f"success={'true' if result.error is None else 'false'},tenant_id={result.tenant_id}"
    )
    return series
