"""Alerts: one row for each episode in which a monitor broke a rule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from attrs import evolve, field, frozen

from urlmon.domain._validators import (
    LATEST,
    check_instant,
    instant,
    kind_of,
    optional,
    pattern,
    text,
    to_utc,
    to_utc_or_none,
    whole,
)
from urlmon.domain.ids import AlertId, MonitorId, TenantId, require_owner
from urlmon.domain.pages import Page, decode_cursor, instant_from_text, instant_to_text, page_of
from urlmon.domain.periods import Period
from urlmon.errors import InvalidValueError

RULE = r"[a-z][a-z0-9_-]{0,62}"
RULE_MEANING = "must be 1 to 63 of a-z, 0-9, underscore and hyphen, opening with a letter"
AVAILABILITY = "availability"
"""The rule that a monitor answers as expected."""


class AlertStatus(StrEnum):
    """Where an episode stands."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class AlertEventKind(StrEnum):
    """What happened to an alert."""

    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@frozen(kw_only=True)
class AlertEvent:
    """One entry of an alert's timeline."""

    alert_id: AlertId
    kind: AlertEventKind
    at: datetime
    by: str | None = None
    note: str | None = None


@frozen(kw_only=True)
class Alert:
    """One episode.  At most one of a monitor and rule is open, that is firing or acknowledged.

    Attributes:
        id: Chosen by the caller; the alerter takes it from the transition.
        tenant_id: The owner.
        monitor_id: What broke the rule.
        rule: 1 to 63 characters; `"availability"` by default.
        cause: Why it opened, at most 500 characters.
        opened_at: When the rule was broken.
        acknowledged_at: When somebody took it on; None before.
        acknowledged_by: Who, 1 to 200 characters.
        note: What they said, 1 to 2,000 characters, or None.
        resolved_at: When it ended; None before.  Not before `opened_at`.
        notification_count: How many notifications were handed over.
    """

    id: AlertId = field(validator=kind_of(AlertId))
    tenant_id: TenantId = field(validator=kind_of(TenantId))
    monitor_id: MonitorId = field(validator=kind_of(MonitorId))
    rule: str = field(default=AVAILABILITY, validator=pattern(RULE, RULE_MEANING))
    cause: str = field(default="", validator=text(500, shortest=0))
    opened_at: datetime = field(converter=to_utc, validator=instant)
    acknowledged_at: datetime | None = field(
        default=None, converter=to_utc_or_none, validator=optional(instant)
    )
    acknowledged_by: str | None = field(default=None, validator=optional(text(200)))
    note: str | None = field(default=None, validator=optional(text(2_000)))
    resolved_at: datetime | None = field(
        default=None, converter=to_utc_or_none, validator=optional(instant)
    )
    notification_count: int = field(default=0, validator=whole(0, 2**31 - 1))

    def __attrs_post_init__(self) -> None:
        if (self.acknowledged_at is None) is not (self.acknowledged_by is None):
            raise InvalidValueError("acknowledged_by", "must go with acknowledged_at")
        if self.note is not None and self.acknowledged_at is None:
            raise InvalidValueError("note", "must go with acknowledged_at")
        for name in ("acknowledged_at", "resolved_at"):
            at = getattr(self, name)
            if at is not None and at < self.opened_at:
                raise InvalidValueError(name, "must not be before opened_at")

    @property
    def status(self) -> AlertStatus:
        """Where the episode stands."""
        if self.resolved_at is not None:
            return AlertStatus.RESOLVED
        return AlertStatus.FIRING if self.acknowledged_at is None else AlertStatus.ACKNOWLEDGED

    def acknowledged(self, *, by: str, note: str | None, at: datetime) -> Alert:
        """Return the alert taken on by somebody.

        Raises:
            InvalidValueError: A value is out of its limits, or `at` is before the alert opened.
        """
        return evolve(self, acknowledged_by=by, note=note, acknowledged_at=at)

    def resolved(self, *, at: datetime) -> Alert:
        """Return the alert ended; itself if it is.

        An end before the opening is taken as one at the opening: outcomes are in order for each
        location alone, so an outcome that was due earlier elsewhere can be what ends an alert.

        Raises:
            InvalidValueError: The instant is naive.
        """
        ended_at = max(check_instant("at", at), self.opened_at)
        return self if self.resolved_at is not None else evolve(self, resolved_at=ended_at)

    def was_open_in(self, period: Period) -> bool:
        """Say whether the alert was open at some instant of a period.

        It is open from `opened_at` (included) to `resolved_at` (excluded); one that ended as it
        opened counts at that instant.
        """
        if self.opened_at >= period.until:
            return False
        return (
            self.opened_at >= period.since
            or self.resolved_at is None
            or self.resolved_at > period.since
        )

    def timeline(self) -> tuple[AlertEvent, ...]:
        """Return what happened, in order of time."""
        events = [AlertEvent(alert_id=self.id, kind=AlertEventKind.OPENED, at=self.opened_at)]
        if self.acknowledged_at is not None:
            events.append(
                AlertEvent(
                    alert_id=self.id,
                    kind=AlertEventKind.ACKNOWLEDGED,
                    at=self.acknowledged_at,
                    by=self.acknowledged_by,
                    note=self.note,
                )
            )
        if self.resolved_at is not None:
            events.append(
                AlertEvent(alert_id=self.id, kind=AlertEventKind.RESOLVED, at=self.resolved_at)
            )
        return tuple(sorted(events, key=lambda event: event.at))


@frozen(kw_only=True)
class Opening:
    """The answer to opening an alert.

    Attributes:
        alert: The alert as it is stored.
        created: Whether no row with its id was there before; False for a repeat.
    """

    alert: Alert
    created: bool


def check_opening(tenant_id: TenantId, alert: Alert) -> None:
    """Refuse an alert that cannot be opened.

    Raises:
        InvalidValueError: It belongs to another tenant, is not firing, or has notifications.
    """
    require_owner(tenant_id, alert.tenant_id)
    if alert.status is not AlertStatus.FIRING:
        raise InvalidValueError("status", "must be firing")
    if alert.notification_count:
        raise InvalidValueError("notification_count", "must be 0")


def check_notification_number(number: int) -> int:
    """Return `number` if it can be a notification's.

    Raises:
        InvalidValueError: It is not from 1 to 2**31 - 1.
    """
    if type(number) is not int or not 1 <= number < 2**31:
        raise InvalidValueError("number", "must be a whole number from 1 to 2**31 - 1")
    return number


def alert_page(alerts: Sequence[Alert], limit: int, scope: tuple[str, ...]) -> Page[Alert]:
    """Cut a page from alerts, newest first, of which one more than `limit` was asked for."""
    return page_of(
        alerts, limit, scope, lambda alert: (instant_to_text(alert.opened_at), alert.id.hex)
    )


def alerts_before(cursor: str | None, scope: tuple[str, ...]) -> tuple[datetime, UUID]:
    """Return the sort key before which a list of alerts goes on: one above all where it begins.

    Raises:
        InvalidValueError: The cursor is not from the list of this scope.
    """
    if cursor is None:
        return LATEST, UUID(int=0)
    at, alert_id = decode_cursor(cursor, 2, scope=scope)
    try:
        return instant_from_text(at), UUID(alert_id)
    except ValueError as exc:
        raise InvalidValueError("cursor", "must come from a page of the same list") from exc
