"""One HTTP check: what a checker does between the schedule and the store."""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime

import aiohttp

from urlmon import CheckError, CheckResult, ErrorKind, Monitor
from urlmon.ports import Clock


async def probe(
    session: aiohttp.ClientSession,
    monitor: Monitor,
    *,
    location: str,
    scheduled_at: datetime,
    clock: Clock,
) -> CheckResult:
    """Request a monitor's URL once and return what happened."""
    checked_at = clock.now()
    started = time.perf_counter()
    error: CheckError | None = None
    status: int | None = None
    elapsed_us: int | None = None
    size: int | None = None
    expires: datetime | None = None
    try:
        async with session.request(
            monitor.method,
            monitor.url,
            headers=dict(monitor.headers),
            data=monitor.body,
            timeout=aiohttp.ClientTimeout(total=monitor.timeout.total_seconds()),
            allow_redirects=False,
        ) as response:
            expires = _certificate_end(response)
            size = len(await response.read())
            status = response.status
        elapsed_us = int((time.perf_counter() - started) * 1_000_000)
        if not monitor.expects(status):
            error = CheckError(kind=ErrorKind.STATUS, message=f"HTTP status {status}")
    except TimeoutError:
        seconds = monitor.timeout.total_seconds()
        error = CheckError(kind=ErrorKind.TIMEOUT, message=f"no answer within {seconds:g} s")
    except aiohttp.ClientError as exc:
        error = CheckError(kind=_kind(exc), message=_message(exc)[:500])
    return CheckResult(
        tenant_id=monitor.tenant_id,
        monitor_id=monitor.id,
        location=location,
        scheduled_at=scheduled_at,
        checked_at=checked_at,
        error=error,
        status_code=status,
        response_time_us=elapsed_us,
        size_bytes=size,
        tls_expires_at=expires,
    )


def _kind(error: aiohttp.ClientError) -> ErrorKind:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ErrorKind.DNS
    if isinstance(error, aiohttp.ClientSSLError):
        return ErrorKind.TLS
    if isinstance(error, aiohttp.ClientConnectionError):
        return ErrorKind.CONNECT
    return ErrorKind.OTHER


def _message(error: aiohttp.ClientError) -> str:
    """Say what went wrong; the address is the monitor's and needs no repeating."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = error.certificate_error
        return getattr(reason, "verify_message", None) or type(reason).__name__
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.strerror or type(error.os_error).__name__
    return str(error)


def _certificate_end(response: aiohttp.ClientResponse) -> datetime | None:
    """Return when the server's certificate ends; None over plain HTTP."""
    connection = response.connection
    transport = None if connection is None else connection.transport
    tls = None if transport is None else transport.get_extra_info("ssl_object")
    certificate = None if tls is None else tls.getpeercert()
    if not certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), tz=UTC)
