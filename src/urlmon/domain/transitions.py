"""What an alerter has to act on, and how it is handed over."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from attrs import field, frozen

from urlmon.domain._validators import (
    check_milliseconds,
    check_text,
    instant,
    kind_of,
    optional,
    pattern,
    text,
    to_utc,
    whole,
)
from urlmon.domain.alerts import RULE, RULE_MEANING
from urlmon.domain.check_results import LONGEST_MESSAGE
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.domain.leases import LONGEST_LEASE, check_ttl
from urlmon.domain.monitors import LOCATION, LOCATION_MEANING
from urlmon.errors import InvalidValueError

MAX_ATTEMPTS = 10
"""A transition that was claimed this often without being settled becomes a dead letter."""
MAX_CLAIM = 100


class TransitionKind(StrEnum):
    """What an alerter has to act on."""

    TRIGGERED = "triggered"
    """An alert begins."""
    REMINDER = "reminder"
    """The alert is still open, and nobody took it on."""
    RESOLVED = "resolved"
    """The alert ends."""
    FLAPPING = "flapping"
    """The monitor changes too often to be told of each time; nothing is triggered or resolved."""
    STABLE = "stable"
    """It does so no longer."""


ENDS = {
    TransitionKind.TRIGGERED: TransitionKind.RESOLVED,
    TransitionKind.FLAPPING: TransitionKind.STABLE,
}
"""What begins, and its end."""


@frozen(kw_only=True)
class Transition:
    """Something about a monitor, for an alerter to act on.

    Attributes:
        tenant_id: The owner.
        monitor_id: Which monitor.
        alert_id: The episode.  A trigger, its reminders and its resolve have the same; so have a
            flapping and its stable, whose episode is no alert.
        kind: What happened.
        number: Which reminder of its alert it is, from 1; how many there were, for a resolve; else
            0.
        rule: The rule of the alert.
        at: `scheduled_at` of the outcome that decided it; by the store's clock, where time did.
        location: The location of that outcome; None where time decided.
        cause: Why, at most 500 characters; empty for an end.
    """

    tenant_id: TenantId = field(validator=kind_of(TenantId))
    monitor_id: MonitorId = field(validator=kind_of(MonitorId))
    alert_id: AlertId = field(validator=kind_of(AlertId))
    kind: TransitionKind = field(validator=kind_of(TransitionKind))
    number: int = field(default=0, validator=whole(0, 2**31 - 1))
    rule: str = field(validator=pattern(RULE, RULE_MEANING))
    at: datetime = field(converter=to_utc, validator=instant)
    location: str | None = field(
        default=None, validator=optional(pattern(LOCATION, LOCATION_MEANING))
    )
    cause: str = field(default="", validator=text(LONGEST_MESSAGE, shortest=0))

    @property
    def id(self) -> str:
        """A stable id: the same transition decided twice has the same."""
        if self.kind is TransitionKind.REMINDER:
            return f"{self.alert_id}:{self.kind}:{self.number}"
        return f"{self.alert_id}:{self.kind}"


@frozen(kw_only=True)
class ClaimedTransition:
    """A transition leased to one alerter.

    Attributes:
        transition: What to act on.
        token: Identifies the claim; settling needs it.
        attempt: How often it has been claimed, from 1.
        leased_until: When it becomes due for others, by the store's clock.
    """

    transition: Transition
    token: str = field(repr=False)
    attempt: int
    leased_until: datetime


@frozen(kw_only=True)
class DeadLetter:
    """A transition that was given up.

    Attributes:
        transition: What nobody settled.
        attempts: How often it was claimed.
        at: When it was given up, by the store's clock.
    """

    transition: Transition
    attempts: int
    at: datetime


def check_claim(request_id: object, limit: object, lease: object) -> None:
    """Refuse a claim that is out of its limits: see `TransitionOutbox.claim`.

    Raises:
        InvalidValueError: An argument is out of its range.
    """
    check_text("request_id", request_id, longest=100)
    if type(limit) is not int or not 1 <= limit <= MAX_CLAIM:
        raise InvalidValueError("limit", f"must be a whole number from 1 to {MAX_CLAIM}")
    check_ttl(lease, field="lease")


def check_delay(delay: object) -> timedelta:
    """Return how long a transition is put off: up to 24 hours in whole milliseconds.

    Raises:
        InvalidValueError: It is no such duration.
    """
    return check_milliseconds("delay", delay, timedelta(0), LONGEST_LEASE, "0 to 24 hours")
