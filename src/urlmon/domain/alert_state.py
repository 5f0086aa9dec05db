"""How a monitor stands: the values that the rules of `urlmon.domain.alerting` work on."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from attrs import Attribute, Factory, evolve, field, frozen

from urlmon.domain._validators import (
    EARLIEST,
    instant,
    kind_of,
    optional,
    pattern,
    text,
    to_utc,
    to_utc_or_none,
    whole,
)
from urlmon.domain.alert_policy import WINDOW, AlertPolicy
from urlmon.domain.check_results import LONGEST_MESSAGE
from urlmon.domain.ids import AlertId
from urlmon.domain.monitors import LOCATION, LOCATION_MEANING
from urlmon.domain.transitions import Transition, TransitionKind
from urlmon.errors import InvalidValueError


class MonitorStatus(StrEnum):
    """How a monitor stands.  Lost state is unknown, never up."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"
    FLAPPING = "flapping"
    """It is now up, now down, too often to be told each time."""


@frozen(kw_only=True)
class LocationState:
    """How one location sees a monitor.

    Attributes:
        location: Which.
        watermark: `scheduled_at` of the newest applied outcome.
        failures: Failures in a row, counted up to 20.
        successes: Successes in a row, counted up to 20.
        failing: Whether it counts as failing.
    """

    location: str = field(validator=pattern(LOCATION, LOCATION_MEANING))
    watermark: datetime = field(converter=to_utc, validator=instant)
    failures: int = field(default=0, validator=whole(0, 20))
    successes: int = field(default=0, validator=whole(0, 20))
    failing: bool = field(default=False, validator=kind_of(bool))


class Owed(NamedTuple):
    """What is to be told although no outcome comes.

    Attributes:
        kind: A trigger, a reminder or a resolve.
        at: From when on, by the store's clock; `EARLIEST` for at once.
    """

    kind: TransitionKind
    at: datetime


def _ordered(_: object, attribute: Attribute[Any], value: object) -> None:
    names = [each.location for each in value] if isinstance(value, tuple) else None
    if names is None or names != sorted(set(names)):
        raise InvalidValueError(attribute.name, "must be a tuple in order of distinct locations")


def _is_down(state: AlertState) -> bool:
    return state.status is MonitorStatus.DOWN


@frozen(kw_only=True)
class AlertState:
    """How a monitor stands.

    Attributes:
        status: Up, down or flapping, or unknown where nothing is known.
        down: Whether enough locations are failing.  While flapping this changes, and the status
            does not; else it says the same.
        since: `scheduled_at` of the outcome that made the status so; None while unknown.
        locations: How each location sees it, in order of their names.
        changes: Bit n is set if the outcome n before the newest changed `down`; the newest 20.
        flapping: The episode of flapping that goes on, if any.
        open_alert: The open alert, if any.
        acknowledged: Whether somebody took the open alert on.
        reminders: How many reminders of the open alert were made.
        notified_at: When the open alert was triggered, or its newest reminder made.
        held_alert: The alert that a suppression holds back, if any.
        suppressed_until: No alert is triggered by outcomes due before; None for no suppression.
        policy: The policy that was applied last; None before the first.
        cause: What the newest failure said, at most 500 characters.
        last_transition: The newest transition that an outcome decided; None before the first.
    """

    status: MonitorStatus = field(default=MonitorStatus.UNKNOWN, validator=kind_of(MonitorStatus))
    down: bool = field(default=Factory(_is_down, takes_self=True), validator=kind_of(bool))
    since: datetime | None = field(
        default=None, converter=to_utc_or_none, validator=optional(instant)
    )
    locations: tuple[LocationState, ...] = field(default=(), validator=_ordered)
    changes: int = field(default=0, validator=whole(0, (1 << WINDOW) - 1))
    flapping: AlertId | None = field(default=None, validator=optional(kind_of(AlertId)))
    open_alert: AlertId | None = field(default=None, validator=optional(kind_of(AlertId)))
    acknowledged: bool = field(default=False, validator=kind_of(bool))
    reminders: int = field(default=0, validator=whole(0, 2**31 - 1))
    notified_at: datetime | None = field(
        default=None, converter=to_utc_or_none, validator=optional(instant)
    )
    held_alert: AlertId | None = field(default=None, validator=optional(kind_of(AlertId)))
    suppressed_until: datetime | None = field(
        default=None, converter=to_utc_or_none, validator=optional(instant)
    )
    policy: AlertPolicy | None = field(default=None, validator=optional(kind_of(AlertPolicy)))
    cause: str = field(default="", validator=text(LONGEST_MESSAGE, shortest=0))
    last_transition: Transition | None = field(
        default=None, validator=optional(kind_of(Transition))
    )

    def __attrs_post_init__(self) -> None:
        flaps = self.status is MonitorStatus.FLAPPING
        if not flaps and self.down is not _is_down(self):
            raise InvalidValueError("down", "must go with the status")
        if flaps is (self.flapping is None):
            raise InvalidValueError("flapping", "must go with the status")

    def location(self, name: str) -> LocationState | None:
        """Return how a location sees the monitor; None if it reported nothing yet."""
        return next((each for each in self.locations if each.location == name), None)

    def closed(self) -> AlertState:
        """Return the state without its alert."""
        return evolve(self, open_alert=None, acknowledged=False, reminders=0, notified_at=None)

    def is_suppressed(self, moment: datetime) -> bool:
        """Say whether no alert begins at a moment."""
        return self.suppressed_until is not None and moment < self.suppressed_until

    @property
    def owed(self) -> Owed | None:
        """What is to be told although no outcome comes, if anything.

        A trigger that was held back, when the suppression ends, of a monitor that is down; a
        reminder, when one interval has passed; a resolve, of a monitor that is up, at once.
        """
        quiet_until = self.suppressed_until or EARLIEST
        if self.status is MonitorStatus.UP and self.open_alert is not None:
            return Owed(TransitionKind.RESOLVED, EARLIEST)
        if self.status is not MonitorStatus.DOWN:
            return None
        if self.open_alert is None:
            held = self.held_alert is not None
            return Owed(TransitionKind.TRIGGERED, quiet_until) if held else None
        interval = None if self.policy is None else self.policy.reminder_interval
        if interval is None or self.notified_at is None or self.acknowledged:
            return None
        return Owed(TransitionKind.REMINDER, max(self.notified_at + interval, quiet_until))


UNKNOWN = AlertState()
