"""How a monitor stands by what the record knows, after its state was lost: pure rules."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from urlmon.domain.alert_policy import AlertPolicy
from urlmon.domain.alert_state import AlertState, LocationState, MonitorStatus
from urlmon.domain.alerting import count_in
from urlmon.domain.alerts import Alert, AlertStatus
from urlmon.domain.check_results import CheckOutcome


def restored(
    policy: AlertPolicy, alert: Alert | None, outcomes: Iterable[CheckOutcome]
) -> AlertState:
    """Return the state of a monitor after it was lost, for `AlertStateCache.seed`.

    An open alert stays open, whatever the outcomes say: if the monitor is up by them, its end is
    owed (`AlertState.owed`) and is told by the next claim of the outbox.  Every location
    with an outcome counts as failing since the alert was opened, until outcomes tell otherwise;
    where those are too few to make the monitor down, every location of the policy does.  So one
    that nobody checks does not keep the alert open.  Reminders go on with the number after the
    notifications that were counted, at their own instants.

    Args:
        policy: The monitor's policy, with its locations: `AlertPolicy.of`.
        alert: Its open alert; None if it has none.
        outcomes: What is known of its checks, in any order: the newest of each location will do,
            more of them make streaks longer.  Those of before the alert was opened only tell that
            their location is checked.
    """
    known = sorted(outcomes, key=lambda each: (each.scheduled_at, each.location))
    state = AlertState(policy=policy)
    if alert is not None:
        locations = {each.location for each in known if policy.counts(each.location)}
        if len(locations) < policy.needed:
            locations.update(policy.locations or ())
        state = _of_alert(alert, policy, sorted(locations))
    for outcome in known:
        place = state.location(outcome.location)
        new = place is None or outcome.scheduled_at > place.watermark
        if new and policy.counts(outcome.location):
            state = count_in(state, outcome, policy)
    return evolve(state, changes=0) if state.changes else state


def _of_alert(alert: Alert, policy: AlertPolicy, locations: list[str]) -> AlertState:
    """Return the state of a monitor of which nothing is known but its open alert."""
    places = [
        LocationState(
            location=location,
            watermark=alert.opened_at,
            failures=policy.failure_threshold,
            failing=True,
        )
        for location in locations
    ]
    # The first notification is the trigger's.
    reminders = max(alert.notification_count - 1, 0)
    waited = policy.reminder_interval and reminders * policy.reminder_interval
    return AlertState(
        status=MonitorStatus.DOWN,
        since=alert.opened_at,
        locations=tuple(places),
        open_alert=alert.id,
        acknowledged=alert.status is AlertStatus.ACKNOWLEDGED,
        reminders=reminders,
        notified_at=alert.opened_at + waited if waited else alert.opened_at,
        policy=policy,
        cause=alert.cause,
    )
