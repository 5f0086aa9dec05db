"""A state that was lost is made again of what the record knows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from tests.unit.alerting_steps import DOWN, MONITOR, TENANT, at, kinds, outcome, run

from urlmon.domain.alert_policy import AlertPolicy
from urlmon.domain.alert_state import AlertState, MonitorStatus
from urlmon.domain.alerting import decide
from urlmon.domain.owed import tell_owed
from urlmon.domain.restoring import restored
from urlmon.domain.transitions import TransitionKind
from urlmon.testing.builders import a_monitor, an_alert

HOUR = timedelta(hours=1)
POLICY = AlertPolicy.of(
    a_monitor(
        TENANT,
        id=MONITOR,
        locations=("us", "eu"),
        recovery_threshold=2,
        reminder_interval=HOUR,
        version=7,
    )
)
ALERT = an_alert(TENANT, MONITOR, opened_at=at(0), cause="dns: x")


def told(state: AlertState, minute: float) -> tuple[str, int] | None:
    _, transition = tell_owed(state, TENANT, MONITOR, now=at(minute), busy=False)
    return transition and (transition.kind.value, transition.number)


def test_nothing_known() -> None:
    """Without alert and outcomes a monitor is unknown, and its policy is known."""
    state = restored(POLICY, None, [])
    assert state == AlertState(policy=POLICY)
    assert state.status is MonitorStatus.UNKNOWN


def test_an_alert_alone() -> None:
    """It is open, and goes on until enough successes come; failures keep it open."""
    state = restored(POLICY, ALERT, [])
    assert (state.status, state.since, state.open_alert) == (DOWN, at(0), ALERT.id)
    assert (state.cause, state.policy, state.acknowledged) == ("dns: x", POLICY, False)
    for pattern, expected in (("-" * 9, "." * 9), ("++", ".."), ("-+++", "....")):
        assert kinds(run(pattern, POLICY, state=state, start=1)) == expected
    alone = restored(evolve(POLICY, locations=("eu",)), ALERT, [])
    decisions = run("+-++", evolve(POLICY, locations=("eu",)), state=alone, start=1)
    assert kinds(decisions) == "...R"
    assert decisions[-1].transition is not None
    assert decisions[-1].transition.alert_id == ALERT.id


def test_an_alert_and_what_came_after() -> None:
    """Newer outcomes count, older ones and those of other locations do not."""
    outcomes: list[Any] = [
        outcome(2, success=True, location="us"),
        outcome(1, success=True, location="us"),
        outcome(3, success=False, cause="tls: y"),
        outcome(-1, success=True),
        outcome(9, success=True, location="ap"),
    ]
    state = restored(POLICY, ALERT, outcomes)
    assert [(each.location, each.failing, each.watermark) for each in state.locations] == [
        ("eu", True, at(3)),
        ("us", False, at(2)),
    ]
    assert (state.status, state.cause) == (DOWN, "tls: y")
    assert state == restored(POLICY, ALERT, outcomes[::-1])


def test_an_end_that_was_missed() -> None:
    """A monitor that is up again by its outcomes has its alert's end told at once."""
    outcomes = [outcome(n, success=True, location=name) for n in (1, 2) for name in ("us", "eu")]
    state = restored(POLICY, ALERT, outcomes)
    assert (state.status, state.open_alert) == (MonitorStatus.UP, ALERT.id)
    assert told(state, 2) == ("resolved", 0)
    decision = decide(state, outcome(3, success=True), POLICY)
    assert kinds([decision]) == "R"


def test_a_location_that_nobody_checks() -> None:
    """What has no outcome while others do keeps no alert open, where those others suffice."""
    outcomes = [outcome(n, success=True, location="us") for n in (1, 2)]
    state = restored(POLICY, ALERT, outcomes[:1])
    assert [(each.location, each.failing) for each in state.locations] == [("us", True)]
    assert told(state, 2) is None
    assert told(restored(POLICY, ALERT, outcomes), 2) == ("resolved", 0)
    both = restored(evolve(POLICY, quorum=2), ALERT, outcomes[:1])
    assert [(each.location, each.failing) for each in both.locations] == [
        ("eu", True),
        ("us", True),
    ]
    assert told(both, 2) is None


def test_a_beginning_that_was_missed() -> None:
    """A monitor that is down by its outcomes, without an alert, triggers with the next."""
    failures = [outcome(n, success=False) for n in (1, 2)]
    state = restored(POLICY, None, failures)
    assert (state.status, state.open_alert, state.owed) == (DOWN, None, None)
    assert kinds(run("-", POLICY, state=state, start=3)) == "T"
    assert kinds(run("++", POLICY, state=state, start=3)) == "TR"


@pytest.mark.parametrize(
    ("count", "due", "number"), [(0, 60, 1), (1, 60, 1), (2, 120, 2), (5, 300, 5)]
)
def test_reminders_go_on(count: int, due: int, number: int) -> None:
    """The next is due when it was, with the number after those that were counted."""
    state = restored(POLICY, evolve(ALERT, notification_count=count), [])
    assert told(state, due - 0.1) is None
    assert told(state, due) == (TransitionKind.REMINDER.value, number)


def test_no_reminders() -> None:
    """None are made of an alert that was taken on, nor where none are asked for."""
    taken = ALERT.acknowledged(by="ann", note=None, at=at(1))
    assert restored(POLICY, taken, []).acknowledged
    for alert, policy in ((taken, POLICY), (ALERT, evolve(POLICY, reminder_interval=None))):
        assert restored(policy, evolve(alert, notification_count=3), []).owed is None


def test_a_policy_without_locations() -> None:
    """Those that reported are taken."""
    bare = AlertPolicy()
    state = restored(bare, ALERT, [outcome(-1, success=True)])
    assert [(each.location, each.failing) for each in state.locations] == [("eu", True)]
    assert kinds(run("-+", bare, state=state, start=1)) == ".R"


def test_nothing_flaps() -> None:
    """How often a monitor changed before is not known."""
    outcomes = [outcome(n, success=n % 2 == 0) for n in range(20)]
    state = restored(evolve(POLICY, failure_threshold=1, recovery_threshold=1), None, outcomes)
    assert (state.changes, state.flapping, state.last_transition) == (0, None, None)
