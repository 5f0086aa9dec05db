"""Alerts are valid by construction, and go from firing to resolved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.alerts import (
    AlertEventKind,
    AlertStatus,
    alerts_before,
    check_notification_number,
    check_opening,
)
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.domain.pages import encode_cursor
from urlmon.domain.periods import Period
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import an_alert
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.texts import HOSTILE_TEXTS, IMPOSSIBLE_TEXTS

TENANT, MONITOR = TenantId.new(), MonitorId.new()
MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
TAKEN = {"acknowledged_at": NOON, "acknowledged_by": "me"}


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        *(("rule", {"rule": rule}) for rule in ("", "A", "1a", "a b", "a\n", "é", "x" * 64, None)),
        ("cause", {"cause": "x" * 501}),
        ("cause", {"cause": None}),
        *(("cause", {"cause": text}) for text in IMPOSSIBLE_TEXTS),
        ("opened_at", {"opened_at": NOON.replace(tzinfo=None)}),
        ("opened_at", {"opened_at": datetime(2200, 1, 1, tzinfo=UTC)}),
        ("acknowledged_by", {"acknowledged_at": NOON}),
        ("acknowledged_by", {"acknowledged_by": "me"}),
        *(
            ("acknowledged_by", {**TAKEN, "acknowledged_by": text})
            for text in ("", "x" * 201, *IMPOSSIBLE_TEXTS)
        ),
        ("acknowledged_at", {**TAKEN, "acknowledged_at": NOON - MICROSECOND}),
        ("acknowledged_at", {**TAKEN, "acknowledged_at": NOON.replace(tzinfo=None)}),
        ("note", {"note": "without a name"}),
        *(("note", {**TAKEN, "note": text}) for text in ("", "x" * 2_001, *IMPOSSIBLE_TEXTS)),
        ("resolved_at", {"resolved_at": NOON - MICROSECOND}),
        ("resolved_at", {"resolved_at": "now"}),
        ("notification_count", {"notification_count": -1}),
        ("notification_count", {"notification_count": 2**31}),
        ("notification_count", {"notification_count": True}),
        ("monitor_id", {"monitor_id": None}),
    ],
)
def test_what_is_no_alert_is_refused(field: str, fields: dict[str, Any]) -> None:
    """Each field has its limits, and the refusal names it."""
    with pytest.raises(InvalidValueError) as caught:
        evolve(an_alert(TENANT, MONITOR), **fields)
    assert caught.value.field == field


def test_at_the_limits() -> None:
    """The limits themselves are permitted, and nothing is changed."""
    for text in (*HOSTILE_TEXTS, "x" * 200):
        alert = an_alert(TENANT, MONITOR, cause=text, rule="x" * 63, notification_count=2**31 - 1)
        taken = alert.acknowledged(by=text, note="y" * 2_000, at=NOON)
        assert (taken.cause, taken.acknowledged_by) == (text, text)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, AlertStatus.FIRING),
        (TAKEN, AlertStatus.ACKNOWLEDGED),
        ({"resolved_at": NOON}, AlertStatus.RESOLVED),
        ({**TAKEN, "resolved_at": NOON}, AlertStatus.RESOLVED),
    ],
)
def test_status(fields: dict[str, Any], status: AlertStatus) -> None:
    """An alert fires until somebody takes it on or it ends."""
    assert an_alert(TENANT, MONITOR, **fields).status is status


def test_resolving_keeps_the_first_end() -> None:
    """A resolved alert stays as it is; no instant is no end."""
    alert = an_alert(TENANT, MONITOR)
    resolved = alert.resolved(at=NOON + MINUTE)
    assert resolved == evolve(alert, resolved_at=NOON + MINUTE)
    assert resolved.resolved(at=NOON + 2 * MINUTE) is resolved
    for each in (alert, resolved):
        with pytest.raises(InvalidValueError):
            each.resolved(at=NOON.replace(tzinfo=None))


def test_an_end_due_before_the_opening_is_at_the_opening() -> None:
    """Another location's outcome can end an alert although it was due earlier."""
    zone = timezone(timedelta(hours=5))
    alert = an_alert(TENANT, MONITOR).resolved(at=(NOON - MINUTE).astimezone(zone))
    assert alert.resolved_at == NOON
    assert alert.resolved_at.tzinfo is UTC


@given(st.integers(-4, 4), st.none() | st.integers(0, 4), st.integers(-3, 3), st.integers(1, 3))
def test_was_open_in(opened: int, length: int | None, since: int, duration: int) -> None:
    """An alert was open in a period if it was at one of its microseconds."""
    end = 99 if length is None else opened + length
    alert = an_alert(
        TENANT,
        MONITOR,
        opened_at=NOON + opened * MICROSECOND,
        resolved_at=None if length is None else NOON + end * MICROSECOND,
    )
    period = Period(since=NOON + since * MICROSECOND, until=NOON + (since + duration) * MICROSECOND)
    instants = {opened, *range(opened, end)}
    assert alert.was_open_in(period) is bool(instants & set(range(since, since + duration)))


def test_timeline() -> None:
    """The timeline tells what happened in order of time, which is not that of the fields."""
    alert = an_alert(TENANT, MONITOR).acknowledged(by="me", note="n", at=NOON + 2 * MINUTE)
    resolved = alert.resolved(at=NOON + MINUTE)
    assert [(event.kind, event.at, event.by, event.note) for event in resolved.timeline()] == [
        (AlertEventKind.OPENED, NOON, None, None),
        (AlertEventKind.RESOLVED, NOON + MINUTE, None, None),
        (AlertEventKind.ACKNOWLEDGED, NOON + 2 * MINUTE, "me", "n"),
    ]
    assert {event.alert_id for event in resolved.timeline()} == {alert.id}
    assert len(an_alert(TENANT, MONITOR).timeline()) == 1


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("status", TAKEN),
        ("status", {"resolved_at": NOON}),
        ("notification_count", {"notification_count": 1}),
        ("tenant_id", {"tenant_id": TenantId.new()}),
    ],
)
def test_what_can_be_opened(field: str, fields: dict[str, Any]) -> None:
    """A new alert is the tenant's own, fires, and nobody was notified."""
    alert = an_alert(TENANT, MONITOR)
    check_opening(TENANT, alert)
    with pytest.raises(InvalidValueError) as caught:
        check_opening(TENANT, evolve(alert, **fields))
    assert caught.value.field == field


def test_notification_numbers() -> None:
    """A number is whole and fits its column."""
    for number in (1, 2**31 - 1):
        assert check_notification_number(number) == number
    for wrong in (0, -1, 2**31, True, 1.0, None):
        with pytest.raises(InvalidValueError):
            check_notification_number(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "parts", [("x", "y"), ("0", "y"), ("x", str(AlertId.new())), ("9" * 30, str(AlertId.new()))]
)
def test_a_cursor_holds_an_instant_and_an_id(parts: tuple[str, str]) -> None:
    """A cursor that somebody made up is refused."""
    with pytest.raises(InvalidValueError) as caught:
        alerts_before(encode_cursor("alerts", *parts), ("alerts",))
    assert caught.value.field == "cursor"
