"""Check results: what a checker saw."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from attrs import Attribute, field, frozen

from urlmon.domain._validators import (
    instant,
    kind_of,
    optional,
    pattern,
    text,
    to_utc,
    to_utc_or_none,
    whole,
)
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.monitors import LOCATION, LOCATION_MEANING
from urlmon.domain.pages import (
    Page,
    decode_cursor,
    instant_from_text,
    instant_to_text,
    page_of,
    uuid_from_text,
)
from urlmon.errors import InvalidValueError

LONGEST_MESSAGE = 500
MAX_BATCH = 5_000
_HOUR_US = 3_600_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ARCHIVE = ("check_result_archive",)
_FIRST_EXPIRY = datetime(1950, 1, 1, tzinfo=UTC)

Identity = tuple[TenantId, MonitorId, str, datetime]
Key = tuple[datetime, int, int, str]
"""The same, as `key_of` gives it: UUIDs are slow to compare and to look up."""


class ErrorKind(StrEnum):
    """At which step a check failed."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    STATUS = "status"
    CONTENT = "content"
    OTHER = "other"


@frozen(kw_only=True)
class CheckError:
    """Why a check failed.

    Attributes:
        kind: At which step.
        message: What happened, at most 500 characters, possibly empty.
    """

    kind: ErrorKind = field(validator=kind_of(ErrorKind))
    message: str = field(default="", validator=text(LONGEST_MESSAGE, shortest=0))


def _expiry(_: object, attribute: Attribute[Any], value: object) -> None:
    """Validate a certificate's end (RFC 5280: from 1950, up to 9999 for "never")."""
    # What `to_utc` could not convert, because it lies outside of the calendar, has another offset.
    if not isinstance(value, datetime) or value.utcoffset() != timedelta(0):
        raise InvalidValueError(attribute.name, "must be a datetime with a time zone, up to 9999")
    if value < _FIRST_EXPIRY:
        raise InvalidValueError(attribute.name, "must not be before 1950")


_microseconds = optional(whole(0, _HOUR_US))


@frozen(kw_only=True)
class Phases:
    """How the response time divides, each in whole microseconds up to one hour, or None."""

    dns_us: int | None = field(default=None, validator=_microseconds)
    connect_us: int | None = field(default=None, validator=_microseconds)
    tls_us: int | None = field(default=None, validator=_microseconds)
    ttfb_us: int | None = field(default=None, validator=_microseconds)
    transfer_us: int | None = field(default=None, validator=_microseconds)


@frozen(kw_only=True)
class CheckResult:
    """The result of one check.

    The identity is (tenant, monitor, location, `scheduled_at`): recorded twice, it is stored once.
    A storage failure is never a result; it is an `UnavailableError`.

    Attributes:
        tenant_id: The monitor's owner.
        monitor_id: What was checked.
        location: From where.
        scheduled_at: When the check was due.
        checked_at: When it was made.
        error: Why it failed; None if it succeeded.
        status_code: The HTTP status, 100 to 599; None if there was none.
        response_time_us: Whole microseconds up to one hour; None if there was no response.
        phases: How the response time divides.
        tls_expires_at: When the certificate ends, in the years 1950 to 9999.
        size_bytes: Bytes of the response body, up to 2**40.
    """

    tenant_id: TenantId = field(validator=kind_of(TenantId))
    monitor_id: MonitorId = field(validator=kind_of(MonitorId))
    location: str = field(default="default", validator=pattern(LOCATION, LOCATION_MEANING))
    scheduled_at: datetime = field(converter=to_utc, validator=instant)
    checked_at: datetime = field(converter=to_utc, validator=instant)
    error: CheckError | None = field(default=None, validator=optional(kind_of(CheckError)))
    status_code: int | None = field(default=None, validator=optional(whole(100, 599)))
    response_time_us: int | None = field(default=None, validator=_microseconds)
    phases: Phases = field(factory=Phases, validator=kind_of(Phases))
    tls_expires_at: datetime | None = field(
        default=None, converter=to_utc_or_none, validator=optional(_expiry)
    )
    size_bytes: int | None = field(default=None, validator=optional(whole(0, 2**40)))

    @property
    def identity(self) -> Identity:
        """Tenant, monitor, location and `scheduled_at`."""
        return self.tenant_id, self.monitor_id, self.location, self.scheduled_at

    @property
    def success(self) -> bool:
        """Whether the check succeeded: there is no error."""
        return self.error is None

    def outcome(self) -> CheckOutcome:
        """Return what alerting needs to know of this result."""
        cause = None if self.error is None else f"{self.error.kind}: {self.error.message}"
        return CheckOutcome(
            tenant_id=self.tenant_id,
            monitor_id=self.monitor_id,
            location=self.location,
            scheduled_at=self.scheduled_at,
            success=self.success,
            cause=None if cause is None else cause[:LONGEST_MESSAGE],
        )


@frozen(kw_only=True)
class CheckOutcome:
    """The part of a result that alerting decides by.

    Attributes:
        tenant_id: The monitor's owner.
        monitor_id: What was checked.
        location: From where.
        scheduled_at: When the check was due: the order of outcomes.
        success: Whether it succeeded.
        cause: Why not, at most 500 characters.
    """

    tenant_id: TenantId = field(validator=kind_of(TenantId))
    monitor_id: MonitorId = field(validator=kind_of(MonitorId))
    location: str = field(default="default", validator=pattern(LOCATION, LOCATION_MEANING))
    scheduled_at: datetime = field(converter=to_utc, validator=instant)
    success: bool = field(validator=kind_of(bool))
    cause: str | None = field(default=None, validator=optional(text(LONGEST_MESSAGE, shortest=0)))


def newest(results: Iterable[CheckResult]) -> CheckResult:
    """Return the newest of at least one result.

    Of equals a failure before a success, then the location that sorts first.
    """
    return min(results, key=lambda each: (_EPOCH - each.scheduled_at, each.success, each.location))


def key_of(result: CheckResult) -> Key:
    """Return the identity of a result as numbers, in the order of time."""
    return (
        result.scheduled_at,
        result.tenant_id.int,
        result.monitor_id.int,
        result.location,
    )


def check_batch(results: object) -> tuple[CheckResult, ...]:
    """Return a batch of results as a tuple.

    Raises:
        InvalidValueError: There are more than 5,000, or one is no `CheckResult`.
    """
    if not isinstance(results, Sequence) or len(results) > MAX_BATCH:
        raise InvalidValueError("results", f"must be a sequence of at most {MAX_BATCH}")
    if not all(isinstance(result, CheckResult) for result in results):
        raise InvalidValueError("results", "must hold CheckResult objects only")
    return tuple(results)


def check_location(location: str | None) -> None:
    """Refuse what cannot be a location; None is no filter.

    Raises:
        InvalidValueError: It is not 1 to 63 of the permitted characters.
    """
    if location is not None and re.fullmatch(LOCATION, location) is None:
        raise InvalidValueError("location", LOCATION_MEANING)


def history_page(
    results: Sequence[CheckResult], monitor_ids: Iterable[MonitorId], limit: int
) -> Page[CheckResult]:
    """Cut a page from a history, of which one result more than `limit` was asked for."""
    return page_of(
        results,
        limit,
        _history(monitor_ids),
        lambda each: (instant_to_text(each.scheduled_at), each.monitor_id, each.location),
    )


def history_position(
    cursor: str, monitor_ids: Iterable[MonitorId]
) -> tuple[datetime, MonitorId, str]:
    """Return `scheduled_at`, monitor and location of the last result before a cursor.

    Raises:
        InvalidValueError: The cursor is not from a history of these monitors.
    """
    at, owner, location = decode_cursor(cursor, 3, scope=_history(monitor_ids))
    monitor_id = uuid_from_text(owner)
    if re.fullmatch(LOCATION, location) is None or not monitor_id.int:
        raise InvalidValueError("cursor", "must come from a page of the same list")
    return instant_from_text(at), MonitorId(monitor_id), location


def history_key(
    at: datetime, monitor_id: MonitorId, location: str
) -> tuple[timedelta, MonitorId, str]:
    """Return what a history is sorted by: newest first, then monitor, then location."""
    return _EPOCH - at, monitor_id, location


def archive_page(results: Sequence[CheckResult], limit: int) -> Page[CheckResult]:
    """Cut a page from an archive, of which one result more than `limit` was asked for."""
    return page_of(
        results,
        limit,
        _ARCHIVE,
        lambda each: (instant_to_text(each.scheduled_at), *archive_key(each)[1:]),
    )


def archive_position(cursor: str) -> tuple[datetime, TenantId, MonitorId, str]:
    """Return the key of the last result before a cursor.

    Raises:
        InvalidValueError: The cursor is not from an archive.
    """
    at, *ids, location = decode_cursor(cursor, 4, scope=_ARCHIVE)
    tenant_id, monitor_id = map(uuid_from_text, ids)
    if re.fullmatch(LOCATION, location) is None or not (tenant_id.int and monitor_id.int):
        raise InvalidValueError("cursor", "must come from a page of the same list")
    return instant_from_text(at), TenantId(tenant_id), MonitorId(monitor_id), location


def archive_key(result: CheckResult) -> tuple[datetime, TenantId, MonitorId, str]:
    """Return what an archive is sorted by: oldest first, then tenant, monitor, location."""
    return result.scheduled_at, result.tenant_id, result.monitor_id, result.location


def _history(monitor_ids: Iterable[MonitorId]) -> tuple[str, str]:
    """Return the scope of a cursor; filters and periods may change under way, monitors not."""
    digest = sha256(b"".join(sorted(each.bytes for each in set(monitor_ids))))
    return "check_results", digest.hexdigest()[:32]
