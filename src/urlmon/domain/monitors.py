"""Monitors: what is checked, how often, from where, and when that is an alert."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from attrs import Attribute, evolve, field, frozen

from urlmon.domain._validators import (
    check_instant,
    check_text,
    distinct,
    duration,
    instant,
    kind_of,
    optional,
    pattern,
    text,
    text_pairs,
    to_utc,
    whole,
)
from urlmon.domain.ids import ChannelId, MonitorId, TenantId
from urlmon.domain.urls import canonical_url
from urlmon.errors import InvalidValueError

LOCATION = r"[a-z0-9](?:[a-z0-9._-]{0,62})"
LOCATION_MEANING = "must be 1 to 63 of a-z, 0-9, dot, underscore and hyphen"
MAX_LOCATIONS = 20
SHORTEST_REMINDER = timedelta(minutes=1)
LONGEST_REMINDER = timedelta(days=30)
LONGEST_TAG = 50
LONGEST_PAUSE_REASON = 500
_SECOND = timedelta(seconds=1)
_MILLISECOND = timedelta(milliseconds=1)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")


class Method(StrEnum):
    """The HTTP method of a check."""

    GET = "GET"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


@frozen(kw_only=True, order=True)
class StatusRange:
    """HTTP status codes from `first` to `last`, both included, within 100 to 599."""

    first: int = field(validator=whole(100, 599))
    last: int = field(validator=whole(100, 599))

    def __attrs_post_init__(self) -> None:
        if self.last < self.first:
            raise InvalidValueError("last", "must not be below first")

    @classmethod
    def parse(cls, value: str) -> Self:
        """Read `"204"` or `"200-299"`.

        Raises:
            InvalidValueError: The text is neither.
        """
        match = re.fullmatch(r"([1-5]\d\d)(?:-([1-5]\d\d))?", value, re.ASCII)
        if match is None:
            raise InvalidValueError("status range", 'must look like "204" or "200-299"')
        return cls(first=int(match[1]), last=int(match[2] or match[1]))

    def __contains__(self, status: object) -> bool:
        return isinstance(status, int) and self.first <= status <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def pairs(value: Mapping[str, str] | tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Convert a mapping to a tuple of pairs in its order; leave a tuple as it is."""
    return tuple(value.items()) if isinstance(value, Mapping) else value


def _header_name(field_name: str, value: object) -> None:
    if not isinstance(value, str) or _HEADER_NAME.fullmatch(value) is None:
        raise InvalidValueError(field_name, "must have valid header names")


_header_pairs = text_pairs(50, _header_name)


def _headers(instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Validate header names (RFC 9110 tokens) and values without line breaks."""
    _header_pairs(instance, attribute, value)
    if any(re.search(r"[\r\n]", content) for _, content in value):
        raise InvalidValueError(attribute.name, "must not hold line breaks")


@frozen(kw_only=True)
class Monitor:
    """A monitored URL.

    Attributes:
        id: Chosen by the caller.
        tenant_id: The owner.
        name: Unique in the tenant, 1 to 200 characters.
        url: http or https, stored in its canonical form (`urlmon.domain.urls.canonical_url`).
        method: The HTTP method.
        headers: Up to 50 request headers, in order; names of 200, values of 4,096 characters.
        body: Request body of at most 16,384 characters, or None.
        expected_statuses: 1 to 20 ranges that count as success.
        interval: Time between checks: whole seconds from 1 s to 1 day, and not below the tenant's
            shortest interval.
        timeout: Whole milliseconds from 100 ms to 60 s, not above the interval.
        locations: 1 to 20 places that check it, each 1 to 63 of a-z, 0-9, dot, underscore, hyphen.
        failure_threshold: Failures in a row, 1 to 20, that make a location count as failing.
        recovery_threshold: Successes in a row, 1 to 20, that end it.
        reminder_interval: Time between reminders of an open alert, whole seconds from 1 minute to
            30 days; None for no reminders.
        enabled: Whether it is checked.
        pause_reason: Why it is not, at most 500 characters; None while enabled.
        tags: Up to 20, each of 1 to 50 characters.
        channel_ids: Up to 20 notification channels of the same tenant.
        created_at: Set by the caller.
        updated_at: Set by the caller at each change.
        version: The configuration's version: counts changes from 1.
    """

    id: MonitorId = field(validator=kind_of(MonitorId))
    tenant_id: TenantId = field(validator=kind_of(TenantId))
    name: str = field(validator=text(200))
    url: str = field(converter=canonical_url)
    method: Method = field(default=Method.GET, validator=kind_of(Method))
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=pairs, validator=_headers)
    body: str | None = field(default=None, validator=optional(text(16_384, shortest=0)))
    expected_statuses: tuple[StatusRange, ...] = field(
        default=(StatusRange(first=200, last=299),),
        validator=distinct(20, kind_of(StatusRange), shortest=1),
    )
    interval: timedelta = field(
        default=timedelta(seconds=60),
        validator=duration(_SECOND, timedelta(days=1), unit=_SECOND),
    )
    timeout: timedelta = field(
        default=timedelta(seconds=10),
        validator=duration(100 * _MILLISECOND, 60 * _SECOND, unit=_MILLISECOND),
    )
    locations: tuple[str, ...] = field(
        default=("default",),
        validator=distinct(MAX_LOCATIONS, pattern(LOCATION, LOCATION_MEANING), shortest=1),
    )
    failure_threshold: int = field(default=2, validator=whole(1, 20))
    recovery_threshold: int = field(default=1, validator=whole(1, 20))
    reminder_interval: timedelta | None = field(
        default=None,
        validator=optional(duration(SHORTEST_REMINDER, LONGEST_REMINDER, unit=_SECOND)),
    )
    enabled: bool = field(default=True, validator=kind_of(bool))
    pause_reason: str | None = field(
        default=None, validator=optional(text(LONGEST_PAUSE_REASON, shortest=0))
    )
    tags: tuple[str, ...] = field(default=(), validator=distinct(20, text(LONGEST_TAG)))
    channel_ids: tuple[ChannelId, ...] = field(
        default=(), validator=distinct(20, kind_of(ChannelId))
    )
    created_at: datetime = field(converter=to_utc, validator=instant)
    updated_at: datetime = field(converter=to_utc, validator=instant)
    version: int = field(default=1, validator=whole(1, 2**31 - 1))

    def __attrs_post_init__(self) -> None:
        if self.timeout > self.interval:
            raise InvalidValueError("timeout", "must not be above the interval")
        if self.enabled and self.pause_reason is not None:
            raise InvalidValueError("pause_reason", "must be None while enabled")

    def expects(self, status: int) -> bool:
        """Say whether an HTTP status counts as success."""
        return any(status in expected for expected in self.expected_statuses)

    def switched(self, *, enabled: bool, reason: str | None, at: datetime) -> Monitor:
        """Return the monitor resumed or paused; itself where it is so already.

        The arguments are those that `check_switch` accepts.
        """
        if self.enabled is enabled and self.pause_reason == reason:
            return self
        return evolve(
            self, enabled=enabled, pause_reason=reason, updated_at=at, version=self.version + 1
        )


def check_switch(*, enabled: bool, reason: str | None, at: datetime) -> None:
    """Check what a monitor is to be resumed or paused with.

    Raises:
        InvalidValueError: A reason is given with `enabled`, or is over 500 characters, or the
            instant has no time zone.
    """
    check_instant("at", at)
    if reason is not None:
        if enabled:
            raise InvalidValueError("reason", "must be None while enabled")
        check_text("reason", reason, longest=LONGEST_PAUSE_REASON, shortest=0)
