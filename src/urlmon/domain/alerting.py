"""When a monitor is up or down, and when that is a transition: pure rules, no storage.

Each location is failing from `failure_threshold` failures in a row until `recovery_threshold`
successes in a row.  The monitor is down while at least `quorum` locations are failing.  Outcomes
are ordered by `scheduled_at` for each location: one at or before the watermark changes nothing.

An alert is triggered on the first applied outcome at which the monitor is down, has no open alert
and is not suppressed; it is resolved on the first at which the monitor is up again, suppressed or
not.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import Attribute, evolve, field, frozen

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
from urlmon.domain.alerts import AVAILABILITY, RULE, RULE_MEANING
from urlmon.domain.check_results import LONGEST_MESSAGE, CheckOutcome
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.domain.monitors import LOCATION, LOCATION_MEANING, Monitor
from urlmon.errors import InvalidValueError


class MonitorStatus(StrEnum):
    """How a monitor stands.  Lost state is unknown, never up."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class TransitionKind(StrEnum):
    """What an alerter has to act on."""

    TRIGGERED = "triggered"
    RESOLVED = "resolved"


class DecisionKind(StrEnum):
    """What an outcome did to the state."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    """It was applied before; the transition given, if any, is the one that it made then."""
    STALE = "stale"
    """A later outcome of this location was applied already."""


@frozen(kw_only=True)
class AlertPolicy:
    """When a monitor counts as down.

    Attributes:
        failure_threshold: Failures in a row that make a location failing, 1 to 20.
        recovery_threshold: Successes in a row that end it, 1 to 20.
        quorum: Failing locations that make the monitor down, 1 to 20.
        rule: The rule that alerts are opened for.
    """

    failure_threshold: int = field(default=2, validator=whole(1, 20))
    recovery_threshold: int = field(default=1, validator=whole(1, 20))
    quorum: int = field(default=1, validator=whole(1, 20))
    rule: str = field(default=AVAILABILITY, validator=pattern(RULE, RULE_MEANING))

    @classmethod
    def of(cls, monitor: Monitor) -> AlertPolicy:
        """Return the policy that a monitor's configuration asks for."""
        return cls(
            failure_threshold=monitor.failure_threshold,
            recovery_threshold=monitor.recovery_threshold,
        )


@frozen(kw_only=True)
class Transition:
    """The beginning or end of an alert, for an alerter to act on.

    Attributes:
        tenant_id: The owner.
        monitor_id: What went down or came back.
        alert_id: The episode; a trigger and its resolve have the same.
        kind: Beginning or end.
        rule: The rule of the alert.
        at: `scheduled_at` of the outcome that decided it.
        location: The location of that outcome.
        cause: Why, at most 500 characters; empty for an end.
    """

    tenant_id: TenantId = field(validator=kind_of(TenantId))
    monitor_id: MonitorId = field(validator=kind_of(MonitorId))
    alert_id: AlertId = field(validator=kind_of(AlertId))
    kind: TransitionKind = field(validator=kind_of(TransitionKind))
    rule: str = field(validator=pattern(RULE, RULE_MEANING))
    at: datetime = field(converter=to_utc, validator=instant)
    location: str = field(validator=pattern(LOCATION, LOCATION_MEANING))
    cause: str = field(default="", validator=text(LONGEST_MESSAGE, shortest=0))

    @property
    def id(self) -> str:
        """A stable id: the same transition decided twice has the same."""
        return f"{self.alert_id}:{self.kind}"


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


def _ordered(_: object, attribute: Attribute[Any], value: object) -> None:
    names = [each.location for each in value] if isinstance(value, tuple) else None
    if names is None or names != sorted(set(names)):
        raise InvalidValueError(attribute.name, "must be a tuple in order of distinct locations")


@frozen(kw_only=True)
class AlertState:
    """How a monitor stands.

    Attributes:
        status: Up, down, or unknown where nothing is known.
        since: `scheduled_at` of the outcome that made it so; None while unknown.
        locations: How each location sees it, in order of their names.
        open_alert: The open episode, if any.
        acknowledged: Whether somebody took the open episode on.
        suppressed_until: No alert is triggered by outcomes due before; None for no suppression.
        cause: What the newest failure said, at most 500 characters.
        last_transition: The newest transition decided; None before the first.
    """

    status: MonitorStatus = field(default=MonitorStatus.UNKNOWN, validator=kind_of(MonitorStatus))
    since: datetime | None = field(
        default=None, converter=to_utc_or_none, validator=optional(instant)
    )
    locations: tuple[LocationState, ...] = field(default=(), validator=_ordered)
    open_alert: AlertId | None = field(default=None, validator=optional(kind_of(AlertId)))
    acknowledged: bool = field(default=False, validator=kind_of(bool))
    suppressed_until: datetime | None = field(
        default=None, converter=to_utc_or_none, validator=optional(instant)
    )
    cause: str = field(default="", validator=text(LONGEST_MESSAGE, shortest=0))
    last_transition: Transition | None = field(
        default=None, validator=optional(kind_of(Transition))
    )

    def location(self, name: str) -> LocationState | None:
        """Return how a location sees the monitor; None if it reported nothing yet."""
        return next((each for each in self.locations if each.location == name), None)


UNKNOWN = AlertState()


@frozen(kw_only=True)
class Decision:
    """The answer to an outcome.

    Attributes:
        kind: Whether it changed the state.
        state: The state now.
        transition: What it made an alerter act on, if anything.
    """

    kind: DecisionKind
    state: AlertState
    transition: Transition | None = None


def decide(state: AlertState, outcome: CheckOutcome, policy: AlertPolicy) -> Decision:
    """Decide what an outcome does to a monitor's state."""
    place = state.location(outcome.location)
    if place is not None and outcome.scheduled_at <= place.watermark:
        return _repeated(state, outcome, place)
    places = {each.location: each for each in state.locations}
    places[outcome.location] = _advance(place, outcome, policy)
    failing = sum(each.failing for each in places.values())
    status = _status(state.status, outcome, down=failing >= policy.quorum)
    moved = evolve(
        state,
        status=status,
        since=state.since if status is state.status else outcome.scheduled_at,
        locations=tuple(places[name] for name in sorted(places)),
        cause=state.cause if outcome.success else outcome.cause or "",
    )
    return _with_transition(moved, outcome, policy)


def _repeated(state: AlertState, outcome: CheckOutcome, place: LocationState) -> Decision:
    """Answer an outcome that is not newer than the watermark."""
    if outcome.scheduled_at < place.watermark:
        return Decision(kind=DecisionKind.STALE, state=state)
    last = state.last_transition
    made_it = (
        last is not None and last.at == outcome.scheduled_at and last.location == outcome.location
    )
    return Decision(kind=DecisionKind.DUPLICATE, state=state, transition=last if made_it else None)


def _advance(
    place: LocationState | None, outcome: CheckOutcome, policy: AlertPolicy
) -> LocationState:
    """Count an outcome into its location's streaks.  Streaks stop at 20, the highest threshold."""
    place = place or LocationState(location=outcome.location, watermark=outcome.scheduled_at)
    failures = 0 if outcome.success else min(place.failures + 1, 20)
    successes = min(place.successes + 1, 20) if outcome.success else 0
    failing = place.failing
    if failures >= policy.failure_threshold:
        failing = True
    elif successes >= policy.recovery_threshold:
        failing = False
    return LocationState(
        location=outcome.location,
        watermark=outcome.scheduled_at,
        failures=failures,
        successes=successes,
        failing=failing,
    )


def _status(before: MonitorStatus, outcome: CheckOutcome, *, down: bool) -> MonitorStatus:
    if down:
        return MonitorStatus.DOWN
    if before is MonitorStatus.DOWN or outcome.success:
        return MonitorStatus.UP
    return before


def _with_transition(state: AlertState, outcome: CheckOutcome, policy: AlertPolicy) -> Decision:
    """Trigger or resolve an alert where the moved state asks for it."""
    suppressed = (
        state.suppressed_until is not None and outcome.scheduled_at < state.suppressed_until
    )
    if state.status is MonitorStatus.DOWN and state.open_alert is None and not suppressed:
        kind, cause = TransitionKind.TRIGGERED, state.cause
        alert_id = AlertId.derive(
            outcome.scheduled_at,
            outcome.tenant_id,
            outcome.monitor_id,
            policy.rule,
            outcome.location,
        )
    elif state.status is MonitorStatus.UP and state.open_alert is not None:
        kind, cause, alert_id = TransitionKind.RESOLVED, "", state.open_alert
    else:
        return Decision(kind=DecisionKind.APPLIED, state=state)
    transition = Transition(
        tenant_id=outcome.tenant_id,
        monitor_id=outcome.monitor_id,
        alert_id=alert_id,
        kind=kind,
        rule=policy.rule,
        at=outcome.scheduled_at,
        location=outcome.location,
        cause=cause,
    )
    changed = evolve(
        state,
        open_alert=alert_id if kind is TransitionKind.TRIGGERED else None,
        acknowledged=False,
        last_transition=transition,
    )
    return Decision(kind=DecisionKind.APPLIED, state=changed, transition=transition)
