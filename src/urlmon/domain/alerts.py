"""Alerts: one row for each episode in which a monitor broke a rule."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from attrs import evolve, field, frozen

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
from urlmon.domain.ids import AlertId, MonitorId, TenantId
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
        """Return the alert ended.

        Raises:
            InvalidValueError: `at` is before the alert opened.
        """
        return evolve(self, resolved_at=at)

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
