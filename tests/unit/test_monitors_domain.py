"""Monitors: what they allow, refuse and make of what they are given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.ids import ChannelId, MonitorId, TenantId
from urlmon.domain.monitors import Method, StatusRange, check_switch
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_monitor
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.texts import HOSTILE_TEXTS, IMPOSSIBLE_TEXTS

TENANT = TenantId.new()
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
PAUSED: dict[str, Any] = {"enabled": False}


def ranges(count: int) -> tuple[StatusRange, ...]:
    """Return that many distinct ranges."""
    return tuple(StatusRange(first=200, last=200 + number) for number in range(count))


@pytest.mark.parametrize(
    ("field", "value", "others"),
    [
        *(("name", text, {}) for text in HOSTILE_TEXTS),
        ("name", "x", {}),
        ("name", "\N{PILE OF POO}" * 200, {}),
        *(("method", method, {}) for method in Method),
        ("headers", (), {}),
        ("headers", (("A", ""), ("A", "x" * 4_096)), {}),
        ("headers", (("!#$%&'*+.^_`|~09azAZ-", "a\tb"),), {}),
        ("headers", tuple(("x" * 200, "") for _ in range(50)), {}),
        ("body", None, {}),
        ("body", "", {}),
        ("body", "x" * 16_384, {}),
        ("expected_statuses", ranges(1), {}),
        ("expected_statuses", ranges(20), {}),
        ("interval", SECOND, {"timeout": SECOND}),
        ("interval", DAY, {}),
        ("timeout", timedelta(milliseconds=100), {}),
        ("timeout", timedelta(milliseconds=59_999), {}),
        ("timeout", 60 * SECOND, {"interval": 60 * SECOND}),
        ("locations", tuple(f"l{number}" for number in range(20)), {}),
        ("locations", ("a" * 63, "0.a_b-c"), {}),
        ("failure_threshold", 1, {}),
        ("failure_threshold", 20, {}),
        ("recovery_threshold", 20, {}),
        ("reminder_interval", None, {}),
        ("reminder_interval", timedelta(minutes=1), {}),
        ("reminder_interval", timedelta(days=30), {}),
        ("pause_reason", "", PAUSED),
        ("pause_reason", "x" * 500, PAUSED),
        ("tags", tuple("x" * number for number in range(31, 51)), {}),
        ("tags", HOSTILE_TEXTS[:2], {}),
        ("channel_ids", tuple(ChannelId.new() for _ in range(20)), {}),
        ("created_at", datetime(2000, 1, 1, tzinfo=UTC), {}),
        ("updated_at", datetime(2200, 1, 1, tzinfo=UTC) - timedelta(microseconds=1), {}),
        ("version", 2**31 - 1, {}),
    ],
)
def test_allowed(field: str, value: object, others: dict[str, Any]) -> None:
    """What a field allows is kept as it is."""
    assert getattr(a_monitor(TENANT, **{field: value}, **others), field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", text) for text in ("", "x" * 201, *IMPOSSIBLE_TEXTS, None, 7, b"x")),
        ("url", "ftp://example.com/"),
        ("method", "GET"),
        ("method", None),
        ("headers", [("A", "b")]),
        ("headers", (("A",),)),
        ("headers", (("A", "b", "c"),)),
        ("headers", (["A", "b"],)),
        ("headers", (("A", 1),)),
        ("headers", (("A", None),)),
        ("headers", ((b"A", "b"),)),
        ("headers", (("", "b"),)),
        ("headers", (("a b", "c"),)),
        ("headers", (("a:", "b"),)),
        ("headers", (("\u00e4", "b"),)),
        ("headers", (("A", "b\nC: d"),)),
        ("headers", (("A", "b\r"),)),
        ("headers", (("A", "\x00"),)),
        ("headers", (("A", "\ud800"),)),
        ("headers", (("A", "x" * 4_097),)),
        ("headers", (("x" * 201, ""),)),
        ("headers", (("A", ""),) * 51),
        ("headers", None),
        *(("body", text) for text in ("x" * 16_385, *IMPOSSIBLE_TEXTS, b"x")),
        ("expected_statuses", ()),
        ("expected_statuses", ranges(21)),
        ("expected_statuses", ranges(1) * 2),
        ("expected_statuses", ("200",)),
        ("expected_statuses", list(ranges(1))),
        ("interval", timedelta(0)),
        ("interval", timedelta(milliseconds=1_500)),
        ("interval", DAY + SECOND),
        ("interval", 60),
        ("timeout", timedelta(milliseconds=99)),
        ("timeout", timedelta(microseconds=100_001)),
        ("timeout", 61 * SECOND),
        ("locations", ()),
        ("locations", ("a", "a")),
        ("locations", ("A",)),
        ("locations", ("",)),
        ("locations", ("-a",)),
        ("locations", ("a\n",)),
        ("locations", ("a" * 64,)),
        ("locations", tuple(f"l{number}" for number in range(21))),
        ("locations", "default"),
        ("failure_threshold", 0),
        ("failure_threshold", 21),
        ("failure_threshold", True),
        ("failure_threshold", 1.0),
        ("recovery_threshold", 0),
        ("recovery_threshold", 21),
        ("reminder_interval", timedelta(seconds=59)),
        ("reminder_interval", timedelta(days=30, seconds=1)),
        ("reminder_interval", timedelta(seconds=60, microseconds=1)),
        ("enabled", 1),
        ("enabled", None),
        *(("pause_reason", text) for text in ("x" * 501, *IMPOSSIBLE_TEXTS, 7)),
        *(("tags", (text,)) for text in ("", "x" * 51, *IMPOSSIBLE_TEXTS, 7)),
        ("tags", ("a", "a")),
        ("tags", tuple(str(number) for number in range(21))),
        ("tags", ["a"]),
        ("channel_ids", (MonitorId.new(),)),
        ("channel_ids", (ChannelId.new(),) * 2),
        ("channel_ids", tuple(ChannelId.new() for _ in range(21))),
        ("created_at", NOON.replace(tzinfo=None)),
        ("created_at", datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("created_at", None),
        ("created_at", "2026-06-15T12:00:00Z"),
        ("updated_at", datetime(2200, 1, 1, tzinfo=UTC)),
        ("updated_at", datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=1)))),
        ("version", 0),
        ("version", 2**31),
        ("version", True),
        ("version", "1"),
    ],
)
def test_refused(field: str, value: object) -> None:
    """What a field does not allow is refused by its name."""
    others = PAUSED if field == "pause_reason" else {}
    with pytest.raises(InvalidValueError) as caught:
        a_monitor(TENANT, **{field: value}, **others)
    assert caught.value.field.partition(" ")[0] == field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"interval": 5 * SECOND}, "timeout"),
        ({"timeout": 2 * SECOND, "interval": SECOND}, "timeout"),
        ({"pause_reason": "x"}, "pause_reason"),
        ({"pause_reason": ""}, "pause_reason"),
    ],
)
def test_fields_that_do_not_go_together(fields: dict[str, object], field: str) -> None:
    """A timeout above the interval, and a reason to pause what runs, are refused."""
    with pytest.raises(InvalidValueError) as caught:
        a_monitor(TENANT, **fields)
    assert caught.value.field == field


def test_what_is_converted() -> None:
    """The URL gets its canonical form, instants UTC, and a mapping of headers its pairs."""
    at = NOON.astimezone(timezone(timedelta(hours=-7)))
    monitor = a_monitor(
        TENANT, url="HTTP://EXAMPLE.com:80", headers={"B": "1", "A": "2"}, created_at=at
    )
    assert monitor.url == "http://example.com/"
    assert monitor.headers == (("B", "1"), ("A", "2"))
    assert monitor.created_at == NOON
    assert monitor.created_at.tzinfo is UTC


def test_frozen() -> None:
    """A monitor that somebody shares cannot be changed."""
    monitor = a_monitor(TENANT)
    with pytest.raises(FrozenInstanceError):
        monitor.name = "x"  # type: ignore[misc]
    assert hash(monitor) == hash(a_monitor(TENANT, id=monitor.id))


def test_expects() -> None:
    """A status counts as success when one of the ranges has it, ends included."""
    statuses = (StatusRange.parse("200-299"), StatusRange.parse("404"))
    monitor = a_monitor(TENANT, expected_statuses=statuses)
    expected = {status for status in range(100, 600) if monitor.expects(status)}
    assert expected == {*range(200, 300), 404}


@given(st.integers(100, 599), st.integers(100, 599))
def test_ranges(first: int, last: int) -> None:
    """A range is read from what it is written as; one that ends before it begins is none."""
    if last < first:
        with pytest.raises(InvalidValueError):
            StatusRange(first=first, last=last)
        with pytest.raises(InvalidValueError):
            StatusRange.parse(f"{first}-{last}")
        return
    made = StatusRange(first=first, last=last)
    assert StatusRange.parse(str(made)) == made
    assert StatusRange.parse(f"{first}-{last}") == made
    assert [status for status in range(90, 610) if status in made] == [*range(first, last + 1)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2xx",
        "99",
        "600",
        "20",
        "2000",
        "200-",
        "-200",
        "200 - 299",
        "200-299\n",
        "\u0662\u0660\u0660",
    ],
)
def test_other_ranges(text: str) -> None:
    """Text that is no range is refused."""
    with pytest.raises(InvalidValueError):
        StatusRange.parse(text)


def test_a_range_has_only_numbers() -> None:
    """What is no status is in no range."""
    assert "200" not in StatusRange.parse("200")


LATER = NOON + timedelta(hours=1)


@pytest.mark.parametrize("reason", [None, "", "moved"])
def test_switching(reason: str | None) -> None:
    """Pausing and resuming are changes; what is so already is the same object."""
    running = a_monitor(TENANT)
    assert running.switched(enabled=True, reason=None, at=LATER) is running
    paused = running.switched(enabled=False, reason=reason, at=LATER)
    assert (paused.enabled, paused.pause_reason, paused.version) == (False, reason, 2)
    assert (paused.created_at, paused.updated_at) == (NOON, LATER)
    assert paused.switched(enabled=False, reason=reason, at=NOON) is paused
    assert paused.switched(enabled=False, reason="else", at=NOON).version == 3
    resumed = paused.switched(enabled=True, reason=None, at=NOON)
    assert (resumed.enabled, resumed.pause_reason, resumed.version) == (True, None, 3)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"enabled": True, "reason": "x"}, "reason"),
        ({"enabled": True, "reason": ""}, "reason"),
        ({"enabled": False, "reason": "x" * 501}, "reason"),
        ({"enabled": False, "reason": "\x00"}, "reason"),
        ({"enabled": False, "reason": 7}, "reason"),
        ({"at": NOON.replace(tzinfo=None)}, "at"),
    ],
)
def test_bad_switches(arguments: dict[str, Any], field: str) -> None:
    """What a monitor cannot be paused or resumed with is refused by name."""
    with pytest.raises(InvalidValueError) as caught:
        check_switch(**{"enabled": False, "reason": None, "at": NOON} | arguments)
    assert caught.value.field == field
