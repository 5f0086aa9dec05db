"""What is told of a monitor although no outcome comes: pure rules, no storage."""

from __future__ import annotations

from datetime import datetime

from attrs import evolve

from urlmon.domain.alert_state import AlertState
from urlmon.domain.alerts import AVAILABILITY
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.transitions import Transition, TransitionKind


def tell_owed(
    state: AlertState, tenant_id: TenantId, monitor_id: MonitorId, *, now: datetime, busy: bool
) -> tuple[AlertState, Transition | None]:
    """Tell what is owed to a monitor although no outcome comes: see `AlertState.owed`.

    Args:
        state: How it stands.
        tenant_id: The owner.
        monitor_id: Which monitor.
        now: The time of the store.
        busy: Whether an earlier transition of the monitor is still to be settled.  Then no reminder
            is added to it: the next is due one interval from now.

    Returns:
        The state now, and what is to be told, if anything.
    """
    owed = state.owed
    if owed is None or owed.at > now:
        return state, None
    if owed.kind is TransitionKind.REMINDER:
        number = state.reminders if busy else state.reminders + 1
        told, alert_id = evolve(state, notified_at=now, reminders=number), state.open_alert
        if busy:
            return told, None
    elif owed.kind is TransitionKind.TRIGGERED:
        number, alert_id = 0, state.held_alert
        told = evolve(state, open_alert=alert_id, held_alert=None, notified_at=now)
    else:
        number, alert_id, told = state.reminders, state.open_alert, state.closed()
    assert alert_id is not None  # noqa: S101 - or nothing were owed
    return told, Transition(
        tenant_id=tenant_id,
        monitor_id=monitor_id,
        alert_id=alert_id,
        kind=owed.kind,
        number=number,
        rule=AVAILABILITY if state.policy is None else state.policy.rule,
        at=now,
        cause="" if owed.kind is TransitionKind.RESOLVED else state.cause,
    )


def last_words(
    state: AlertState, tenant_id: TenantId, monitor_id: MonitorId, *, now: datetime
) -> tuple[Transition, ...]:
    """Return the ends of what is open, for a monitor whose state is about to be dropped."""
    ends = (
        (TransitionKind.STABLE, state.flapping, 0),
        (TransitionKind.RESOLVED, state.open_alert, state.reminders),
    )
    return tuple(
        Transition(
            tenant_id=tenant_id,
            monitor_id=monitor_id,
            alert_id=episode,
            kind=kind,
            number=number,
            rule=AVAILABILITY if state.policy is None else state.policy.rule,
            at=now,
        )
        for kind, episode, number in ends
        if episode is not None
    )
