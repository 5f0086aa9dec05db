"""Translates what InfluxDB and its HTTP client report: by class and status, never by text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import aiohttp

from urlmon.errors import StoreError, UnavailableError

STORE: Final = "influxdb"

_TOO_MANY: Final = HTTPStatus.TOO_MANY_REQUESTS
# Sending again what these refuse can succeed without anybody doing anything.
_TRANSIENT: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, _TOO_MANY}
_ADVICE: Final = {
    400: "the server could not read the request: is it an InfluxDB 2.7 or later?",
    401: "the token was rejected: check INFLUXDB_TOKEN",
    403: "the token lacks a right: it has to be allowed to read and to write the bucket",
    404: "the bucket or the organization does not exist, or the token may not read it: check"
    " INFLUXDB_BUCKET, INFLUXDB_ORG and INFLUXDB_TOKEN, and let urlmon create the bucket",
    408: "the server did not receive the request in time",
    413: "the request is larger than the server, or a proxy before it, accepts: raise that limit",
    422: "the server stored only a part: its bucket keeps results for a shorter time than urlmon is"
    " set to, or holds fields of other types",
    429: "the server has too much to do",
    502: "a proxy could not reach the server: is it up?",
    503: "the server is not ready or has too much to do",
    504: "a proxy waited for the server in vain: is it up?",
}
_ADDRESS: Final = "check INFLUXDB_URL"


_LONGEST_WAIT: Final = timedelta(days=1)
_SECONDS: Final = re.compile("[0-9]{1,9}")


def wait_asked_for(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long the header `Retry-After` asks to wait (RFC 9110, 10.2.3), a day at most.

    It holds seconds, or an instant, by the server's clock as far as that is said.  None where it is
    missing or makes no sense.
    """
    value = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(value):
        return min(timedelta(seconds=int(value)), _LONGEST_WAIT)
    until = _instant(value)
    if until is None:
        return None
    now = _instant(headers.get("Date", "")) or datetime.now(UTC)
    return min(max(until - now, timedelta(0)), _LONGEST_WAIT)


def refused(
    status: int, operation: str, *, writing: bool, retry_after: timedelta | None = None
) -> StoreError:
    """Return the error that an HTTP status other than 2xx means.

    Args:
        status: The status.
        operation: The port's method.
        writing: Whether the request was to change something.
        retry_after: How long the server asks to wait.
    """
    advice = _ADVICE.get(status, "")
    if status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        detail = advice or "the server failed: see its log"
        applied = writing and status != _TOO_MANY
        return UnavailableError(
            STORE,
            operation,
            f"{detail} (status {status})",
            maybe_applied=applied,
            retry_after=retry_after,
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        advice = f"the server points to another address: {_ADDRESS}"
    return StoreError(STORE, operation, f"{advice or 'the server refused it'} (status {status})")


def failed(error: Exception, operation: str, *, writing: bool) -> StoreError:
    """Return the error that a failure of the HTTP client means.

    Args:
        error: What aiohttp raised.
        operation: The port's method.
        writing: Whether the request was to change something.
    """
    if isinstance(error, aiohttp.ClientSSLError):
        detail = "no encrypted connection could be made: check INFLUXDB_URL and the certificate"
        return StoreError(STORE, operation, detail)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        detail = f"no connection could be made: is the server up? If it is, {_ADDRESS}"
        return UnavailableError(STORE, operation, detail)
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL):
        return StoreError(STORE, operation, f"what answers is no InfluxDB: {_ADDRESS}")
    if isinstance(error, TimeoutError):
        detail = "the server did not answer in time"
    else:
        detail = "the connection was lost: is the server up?"
    return UnavailableError(STORE, operation, detail, maybe_applied=writing)


def _instant(text: str) -> datetime | None:
    """Return an instant as HTTP writes it; None if it is none."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
