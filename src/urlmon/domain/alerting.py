"""When a monitor is up, down or flapping, and what is told of it: pure rules, no storage.

Each location is failing from `failure_threshold` failures in a row until `recovery_threshold`
successes in a row.  The monitor is down while at least `quorum` locations are failing.  Outcomes
are ordered by `scheduled_at` for each location: one at or before the watermark changes nothing.
Only the locations of the policy count; what is known of others is dropped.

A monitor whose `down` changed too often among its newest 20 outcomes flaps, until it did so seldom:
`urlmon.domain.alert_policy.FlapMarks` says how often.  Changes under a suppression are not counted.

What is told, at most one thing for an outcome, and what holds it back:

| transition | when | suppressed | flapping | acknowledged |
| --- | --- | --- | --- | --- |
| triggered | down, and no alert is open | held until the end | held until stable | - |
| resolved | up, and an alert is open | told | held until stable | told |
| reminder | one interval after the trigger or the newest reminder | held until the end | held \
until stable | never |
| flapping | the share of changes is at the high mark | not begun | - | told |
| stable | the share is at the low mark, or the policy has no marks | told | told | told |

What was held is told at the first outcome at which nothing holds it any more, or, without any, by
the time of the store (`urlmon.domain.owed`); if it is not true any more then, it is never told.  An
alert that was open when flapping began stays open, and acknowledged if it was.

A policy of a lower version than the one applied last is not applied: that one is, again.  So a
caller that has not yet read the newest configuration flips nothing, and no outcome is lost.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import evolve, frozen

from urlmon.domain.alert_policy import WINDOW, AlertPolicy, FlapMarks
from urlmon.domain.alert_state import (
    UNKNOWN,
    AlertState,
    LocationState,
    MonitorStatus,
)
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import AlertId
from urlmon.domain.transitions import Transition, TransitionKind

__all__ = [
    "UNKNOWN",
    "AlertPolicy",
    "AlertState",
    "Decision",
    "DecisionKind",
    "FlapMarks",
    "LocationState",
    "MonitorStatus",
    "Transition",
    "TransitionKind",
    "count_in",
    "decide",
    "episode_of",
]

_LONGEST_STREAK: Final = 20


class DecisionKind(StrEnum):
    """What an outcome did to the state."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    """It was applied before; the transition given, if any, is the one that it made then."""
    STALE = "stale"
    """A later outcome of this location was applied already."""
    FOREIGN = "foreign"
    """Its location is not one of the policy's; it changed nothing."""


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
    episode = episode_of(outcome, policy)
    if state.policy is not None and state.policy.version > policy.version:
        policy = state.policy
    if not policy.counts(outcome.location):
        return Decision(kind=DecisionKind.FOREIGN, state=state)
    place = state.location(outcome.location)
    if place is not None and outcome.scheduled_at <= place.watermark:
        return _repeated(state, outcome, place)
    moved = count_in(state, outcome, policy)
    told, kind = _tell(moved, outcome.scheduled_at, policy.flapping, episode)
    if kind is None:
        return Decision(kind=DecisionKind.APPLIED, state=told)
    ended = {TransitionKind.RESOLVED: moved.open_alert, TransitionKind.STABLE: moved.flapping}
    transition = Transition(
        tenant_id=outcome.tenant_id,
        monitor_id=outcome.monitor_id,
        alert_id=ended.get(kind) or episode,
        kind=kind,
        number=moved.reminders if kind is TransitionKind.RESOLVED else 0,
        rule=policy.rule,
        at=outcome.scheduled_at,
        location=outcome.location,
        cause="" if kind in ended else moved.cause,
    )
    return Decision(
        kind=DecisionKind.APPLIED,
        state=evolve(told, last_transition=transition),
        transition=transition,
    )


def count_in(state: AlertState, outcome: CheckOutcome, policy: AlertPolicy) -> AlertState:
    """Count an outcome in, and tell nothing of it."""
    places = {each.location: each for each in state.locations if policy.counts(each.location)}
    place = places.get(outcome.location)
    places[outcome.location] = _advance(place, outcome, policy)
    down = sum(each.failing for each in places.values()) >= policy.needed
    status = _status(state, outcome, down=down)
    changed = (
        state.status is not MonitorStatus.UNKNOWN
        and down is not state.down
        and not state.is_suppressed(outcome.scheduled_at)
    )
    return evolve(
        state,
        status=status,
        down=down,
        since=state.since if status is state.status else outcome.scheduled_at,
        locations=tuple(places[name] for name in sorted(places)),
        changes=(state.changes << 1 | changed) & (1 << WINDOW) - 1,
        policy=policy,
        cause=state.cause if outcome.success else outcome.cause or "",
    )


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
    failures = 0 if outcome.success else min(place.failures + 1, _LONGEST_STREAK)
    successes = min(place.successes + 1, _LONGEST_STREAK) if outcome.success else 0
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


def _status(state: AlertState, outcome: CheckOutcome, *, down: bool) -> MonitorStatus:
    if state.status is MonitorStatus.FLAPPING:
        return state.status
    if down:
        return MonitorStatus.DOWN
    if state.status is MonitorStatus.DOWN or outcome.success:
        return MonitorStatus.UP
    return state.status


def _tell(
    state: AlertState, at: datetime, marks: FlapMarks | None, episode: AlertId
) -> tuple[AlertState, TransitionKind | None]:
    """Begin or end what the moved state asks for."""
    quiet = state.is_suppressed(at)
    if state.flapping is not None:
        return _flap_on(state, at, marks, episode)
    if marks is not None and not quiet and marks.begins(state.changes):
        flapping = evolve(
            state, status=MonitorStatus.FLAPPING, since=at, flapping=episode, held_alert=None
        )
        return flapping, TransitionKind.FLAPPING
    if state.down and state.open_alert is None:
        if quiet:
            return evolve(state, held_alert=state.held_alert or episode), None
        opened = evolve(state, open_alert=episode, held_alert=None, notified_at=at)
        return opened, TransitionKind.TRIGGERED
    if state.status is MonitorStatus.UP and state.open_alert is not None:
        return state.closed(), TransitionKind.RESOLVED
    return (state if state.down else evolve(state, held_alert=None)), None


def _flap_on(
    state: AlertState, at: datetime, marks: FlapMarks | None, episode: AlertId
) -> tuple[AlertState, TransitionKind | None]:
    """End the flapping that goes on, if it is time to."""
    if marks is not None and not marks.ends(state.changes):
        return state, None
    owing = state.down and state.open_alert is None
    stable = evolve(
        state,
        status=MonitorStatus.DOWN if state.down else MonitorStatus.UP,
        since=at,
        flapping=None,
        held_alert=episode if owing else None,
    )
    return stable, TransitionKind.STABLE


def episode_of(outcome: CheckOutcome, policy: AlertPolicy) -> AlertId:
    """Return the id of the alert, or the episode of flapping, that an outcome begins."""
    return AlertId.derive(
        outcome.scheduled_at,
        outcome.tenant_id,
        outcome.monitor_id,
        policy.rule,
        outcome.location,
    )
