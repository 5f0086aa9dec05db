"""Outcomes make a monitor up or down, and alerts begin and end with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from tests.unit.alerting_steps import MONITOR, ONE, TENANT, at, kinds, outcome, run

from urlmon.domain.alert_policy import AlertPolicy, FlapMarks
from urlmon.domain.alert_state import UNKNOWN, AlertState, LocationState
from urlmon.domain.alerting import decide
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.domain.transitions import Transition, TransitionKind
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_monitor
from urlmon.testing.clock import NOON


@pytest.mark.parametrize(
    ("failures", "successes", "pattern", "expected"),
    [
        (1, 1, "-", "T"),
        (1, 1, "+-+-", ".TRT"),
        (2, 1, "--", ".T"),
        (2, 1, "-+-+-+", "......"),
        (2, 1, "-+--+", "...TR"),
        (2, 2, "--+-++", ".T...R"),
        (1, 2, "-+-+++-", "T...R.T"),
        (3, 3, "---++-+++", "..T.....R"),
        (1, 1, "-----", "T...."),
        (20, 1, "-" * 19, "." * 19),
        (20, 1, "-" * 21, "." * 19 + "T."),
        (1, 20, "-" + "+" * 20, "T" + "." * 19 + "R"),
        (1, 1, "+++", "..."),
    ],
)
def test_thresholds(failures: int, successes: int, pattern: str, expected: str) -> None:
    """An alert begins after so many failures in a row, and ends after so many successes."""
    policy = AlertPolicy(failure_threshold=failures, recovery_threshold=successes)
    assert kinds(run(pattern, policy)) == expected


@pytest.mark.parametrize(
    ("pattern", "statuses", "since"),
    [
        ("-", "unknown", None),
        ("+", "up", 0),
        ("-+", "unknown up", 1),
        ("--", "unknown down", 1),
        ("+-+", "up up up", 0),
        ("+---", "up up down down", 2),
        ("--++-", "unknown down up up up", 2),
    ],
)
def test_status(pattern: str, statuses: str, since: int | None) -> None:
    """One is unknown until something is known, and the time of the newest change is kept."""
    decisions = run(pattern, AlertPolicy(failure_threshold=2))
    assert " ".join(decision.state.status for decision in decisions) == statuses
    assert decisions[-1].state.since == (None if since is None else at(since))


def test_the_transitions_of_an_alert() -> None:
    """Beginning and end carry one alert's id, and what an alerter needs."""
    policy = AlertPolicy(failure_threshold=1, rule="latency")
    first = decide(UNKNOWN, outcome(0, success=False, cause="timeout: 10 s"), policy)
    assert first.transition is not None
    alert_id = first.transition.alert_id
    assert first.transition == Transition(
        tenant_id=TENANT,
        monitor_id=MONITOR,
        alert_id=alert_id,
        kind=TransitionKind.TRIGGERED,
        rule="latency",
        at=at(0),
        location="eu",
        cause="timeout: 10 s",
    )
    assert first.transition.id == f"{alert_id}:triggered"
    assert first.state.open_alert == alert_id
    assert first.state.last_transition == first.transition
    taken = evolve(first.state, acknowledged=True)
    second = decide(taken, outcome(1, success=True), policy)
    assert second.transition == evolve(
        first.transition, kind=TransitionKind.RESOLVED, at=at(1), cause=""
    )
    assert second.transition.id == f"{alert_id}:resolved"
    assert second.state.open_alert is None
    assert not second.state.acknowledged
    assert second.state.cause == "timeout: 10 s", "what the newest failure said"


def test_what_is_open_stays_acknowledged() -> None:
    """Further failures of an alert that somebody took on change nothing about that."""
    state = run("-", ONE)[0].state
    later = run("--", ONE, state=evolve(state, acknowledged=True), start=1)[-1].state
    assert later.acknowledged
    assert later.open_alert == state.open_alert


def test_alert_ids_are_derived() -> None:
    """The same decision gives the same id anywhere; every part of it counts."""
    made = {
        decide(UNKNOWN, evolve(outcome(0, success=False), **fields), policy).state.open_alert
        for fields, policy in (
            ({}, ONE),
            ({}, ONE),
            ({"cause": "another"}, AlertPolicy(failure_threshold=1, recovery_threshold=9)),
            ({"scheduled_at": at(1)}, ONE),
            ({"scheduled_at": NOON + timedelta(microseconds=1)}, ONE),
            ({"location": "us"}, ONE),
            ({"monitor_id": MonitorId.new()}, ONE),
            ({"tenant_id": TenantId.new()}, ONE),
            ({}, AlertPolicy(failure_threshold=1, rule="latency")),
        )
    }
    assert None not in made
    assert len(made) == 7


def test_each_alert_of_a_monitor_has_its_own_id() -> None:
    """A monitor that goes down again gets another alert."""
    decisions = run("-+-+-", ONE)
    ids = {each.transition.alert_id for each in decisions if each.transition}
    assert len(ids) == 3
    version = {alert_id.version for alert_id in ids}
    assert version == {7}


def test_the_cause_is_the_newest_failure() -> None:
    """A failure without words clears what an older one said."""
    state = UNKNOWN
    for minute, (success, cause, expected) in enumerate(
        [(False, "a", "a"), (True, None, "a"), (False, None, ""), (False, "b", "b")]
    ):
        state = decide(state, outcome(minute, success=success, cause=cause), ONE).state
        assert state.cause == expected


def test_a_changed_policy_counts_from_the_next_outcome() -> None:
    """Streaks are kept, so that a lower threshold is met at once."""
    state = run("---", AlertPolicy(failure_threshold=5))[-1].state
    assert kinds(run("-", AlertPolicy(failure_threshold=4), state=state, start=3)) == "T"
    assert kinds(run("-", AlertPolicy(failure_threshold=5), state=state, start=3)) == "."


def test_the_policy_of_a_monitor() -> None:
    """A monitor's configuration is the policy's, and flapping is looked for."""
    hour = timedelta(hours=1)
    monitor = a_monitor(
        TENANT,
        failure_threshold=7,
        recovery_threshold=9,
        locations=("us", "eu"),
        reminder_interval=hour,
        version=3,
    )
    assert AlertPolicy.of(monitor) == AlertPolicy(
        failure_threshold=7,
        recovery_threshold=9,
        locations=("us", "eu"),
        flapping=FlapMarks(low=20, high=30),
        reminder_interval=hour,
        version=3,
    )


@pytest.mark.parametrize("field", ["failure_threshold", "recovery_threshold", "quorum"])
def test_what_is_no_policy_is_refused(field: str) -> None:
    """Thresholds and quorum are from 1 to 20."""
    for value in (0, 21, True, 1.0):
        with pytest.raises(InvalidValueError) as caught:
            AlertPolicy(**{field: value})  # type: ignore[arg-type]
        assert caught.value.field == field
    for name, value in {
        "rule": "No rule",
        "locations": (),
        "flapping": 30,
        "reminder_interval": timedelta(seconds=59),
        "version": -1,
    }.items():
        with pytest.raises(InvalidValueError, match=name):
            AlertPolicy(**{name: value})  # type: ignore[arg-type]
    for low, high in ((30, 30), (-1, 30), (20, 101)):
        with pytest.raises(InvalidValueError):
            FlapMarks(low=low, high=high)


def test_locations_of_a_state_are_in_order() -> None:
    """A state with locations twice or out of order is none."""
    places = [LocationState(location=name, watermark=NOON) for name in ("a", "b")]
    assert AlertState(locations=tuple(places)).location("b") is places[1]
    for wrong in (places, tuple(places[::-1]), (places[0], places[0])):
        with pytest.raises(InvalidValueError):
            AlertState(locations=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"since": datetime(2026, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"suppressed_until": datetime(2026, 1, 1)},  # noqa: DTZ001 - likewise
        {"cause": "x" * 501},
        {"open_alert": "no id"},
        {"acknowledged": 1},
        {"down": True},
        {"flapping": AlertId.new()},
        {"changes": 2**20},
        {"policy": "bare"},
        {"last_transition": "triggered"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_state_is_valid_by_construction(fields: dict[str, Any]) -> None:
    """What could not be stored exactly is refused before it reaches a store."""
    with pytest.raises(InvalidValueError, match=next(iter(fields))):
        AlertState(**fields)


def test_a_location_is_valid_by_construction() -> None:
    """A naive watermark and an impossible streak are refused."""
    with pytest.raises(InvalidValueError, match="watermark"):
        LocationState(location="default", watermark=datetime(2026, 1, 1))  # noqa: DTZ001 - naive
    with pytest.raises(InvalidValueError, match="failures"):
        LocationState(location="default", watermark=NOON, failures=21)
