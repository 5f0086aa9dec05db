"""Check results: what they may hold, and the rules that every store keeps them by."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.result_strategies import MICROSECOND, results

from urlmon.domain.check_results import (
    MAX_BATCH,
    CheckError,
    CheckOutcome,
    CheckResult,
    ErrorKind,
    Phases,
    check_batch,
    check_location,
    history_page,
    history_position,
    newest,
)
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.pages import decode_cursor, encode_cursor
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_result
from urlmon.testing.clock import NOON

TENANT = TenantId.new()
MONITORS = [MonitorId.new(), MonitorId.new()]
BOOM = CheckError(kind=ErrorKind.DNS, message="no such name")
EAST = timezone(timedelta(hours=14))
WEST = timezone(timedelta(hours=-12))
some = st.lists(
    results([TENANT], MONITORS, st.sampled_from([NOON + n * MICROSECOND for n in range(3)]))
)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("tenant_id", [TenantId.new()], [None, MonitorId.new(), str(TENANT)]),
        ("monitor_id", [MonitorId.new()], [None, TENANT, "x"]),
        (
            "location",
            ["a", "0", "eu-1", "eu.1_b", "z" * 63],
            ["", "A", "-a", ".a", "a b", "a\n", "ä", "z" * 64, None, 1],
        ),
        (
            "scheduled_at",
            [NOON.astimezone(EAST), datetime(2000, 1, 1, tzinfo=UTC)],
            [
                NOON.replace(tzinfo=None),
                datetime(1999, 12, 31, 23, tzinfo=UTC),
                datetime(2200, 1, 1, tzinfo=UTC),
                datetime.max.replace(tzinfo=WEST),
                None,
                1.0,
            ],
        ),
        ("checked_at", [NOON], [NOON.replace(tzinfo=None), None, "now"]),
        ("error", [None, BOOM], ["dns", False]),
        ("status_code", [None, 100, 599], [99, 600, 200.0, True, "200"]),
        ("response_time_us", [None, 0, 3_600_000_000], [-1, 3_600_000_001, 0.5, False]),
        ("phases", [Phases()], [None, ()]),
        (
            "tls_expires_at",
            [
                None,
                datetime(1950, 1, 1, tzinfo=UTC),
                datetime.max.replace(tzinfo=UTC),
                datetime.max.replace(tzinfo=EAST),
            ],
            [
                NOON.replace(tzinfo=None),
                datetime(1949, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
                datetime.max.replace(tzinfo=WEST),
                datetime.min.replace(tzinfo=EAST),
                "2030-01-01",
            ],
        ),
        ("size_bytes", [None, 0, 2**40], [-1, 2**40 + 1, 1.5]),
    ],
)
def test_every_field_has_its_limits(name: str, good: list[object], bad: list[object]) -> None:
    """What lies within is kept, what does not is refused by the field's name."""
    fields: dict[str, Any] = {
        "tenant_id": TENANT,
        "monitor_id": MONITORS[0],
        "scheduled_at": NOON,
        "checked_at": NOON,
    }
    for value in good:
        assert getattr(CheckResult(**fields | {name: value}), name) == value
    for value in bad:
        with pytest.raises(InvalidValueError) as caught:
            CheckResult(**fields | {name: value})
        assert caught.value.field == name


@pytest.mark.parametrize("name", ["dns_us", "connect_us", "tls_us", "ttfb_us", "transfer_us"])
def test_phases_have_limits(name: str) -> None:
    """Each phase is up to an hour of whole microseconds."""
    for value in (None, 0, 3_600_000_000):
        assert getattr(Phases(**{name: value}), name) == value
    for bad in (-1, 3_600_000_001, 1.0, "1"):
        with pytest.raises(InvalidValueError, match=name):
            Phases(**{name: bad})  # type: ignore[arg-type]


def test_an_error_has_a_kind_and_a_bounded_message() -> None:
    """A message may be empty and has at most 500 characters that every store keeps."""
    for message in ("", "x" * 500, "\U0001f525" * 500, "a\nb"):
        assert CheckError(kind=ErrorKind.TLS, message=message).message == message
    for bad in ("x" * 501, "nul\x00", "\ud800", None, b"x"):
        with pytest.raises(InvalidValueError, match="message"):
            CheckError(kind=ErrorKind.TLS, message=cast("str", bad))
    with pytest.raises(InvalidValueError, match="kind"):
        CheckError(kind=cast("ErrorKind", "dns"))


def test_instants_are_utc() -> None:
    """An instant given in another zone is the same one in UTC."""
    result = a_result(
        TENANT,
        MONITORS[0],
        scheduled_at=NOON.astimezone(EAST),
        checked_at=NOON.astimezone(WEST),
        tls_expires_at=NOON.astimezone(EAST),
    )
    for at in (result.scheduled_at, result.checked_at, result.tls_expires_at):
        assert at == NOON
        assert at is not None
        assert at.tzinfo is UTC


def test_the_outcome_of_a_result() -> None:
    """It has the identity, and of a failure the kind and the message, cut at 500 characters."""
    good = a_result(TENANT, MONITORS[0], location="eu")
    assert good.success
    assert good.outcome() == CheckOutcome(
        tenant_id=TENANT,
        monitor_id=MONITORS[0],
        location="eu",
        scheduled_at=NOON,
        success=True,
    )
    assert good.identity == (TENANT, MONITORS[0], "eu", NOON)
    bad = a_result(TENANT, MONITORS[0], error=CheckError(kind=ErrorKind.CONTENT, message="x" * 500))
    assert not bad.success
    assert not bad.outcome().success
    assert bad.outcome().cause == "content: " + "x" * 491


@given(some.filter(bool))
def test_the_newest_of_some(given_results: list[CheckResult]) -> None:
    """Nothing is newer; of its instant nothing failed if it did not, nor sorts before it."""
    found = newest(given_results)
    assert found in given_results
    for other in given_results:
        assert other.scheduled_at <= found.scheduled_at
        if other.scheduled_at == found.scheduled_at:
            assert (found.success, found.location) <= (other.success, other.location)


def test_a_batch_is_a_bounded_sequence_of_results() -> None:
    """Anything else is refused."""
    result = a_result(TENANT, MONITORS[0])
    assert check_batch([result] * MAX_BATCH) == (result,) * MAX_BATCH
    assert check_batch(()) == ()
    for bad in ([result] * (MAX_BATCH + 1), [result, None], {result}, result, "x", None, iter([])):
        with pytest.raises(InvalidValueError, match="results"):
            check_batch(bad)


def test_a_location_to_filter_by() -> None:
    """None is no filter; what no monitor can have is refused."""
    for good in (None, "eu-1", "z" * 63):
        check_location(good)
    for bad in ("", "EU", "a\n", "\x00"):
        with pytest.raises(InvalidValueError, match="location"):
            check_location(bad)


@given(some.filter(bool), st.integers(1, 5))
def test_a_page_tells_where_it_ends(given_results: list[CheckResult], limit: int) -> None:
    """Its cursor, if more follow, gives the last item's place, and for its monitors only."""
    page = history_page(given_results, MONITORS, limit)
    assert page.items == tuple(given_results[:limit])
    if len(given_results) <= limit:
        assert page.next_cursor is None
        return
    assert page.next_cursor is not None
    assert re.fullmatch(r"[\w-]+", page.next_cursor, re.ASCII)
    last = page.items[-1]
    place = history_position(page.next_cursor, [*reversed(MONITORS), MONITORS[0]])
    assert place == (last.scheduled_at, last.monitor_id, last.location)
    for others in ([], MONITORS[:1], [*MONITORS, MonitorId.new()]):
        with pytest.raises(InvalidValueError, match="cursor"):
            history_position(page.next_cursor, others)


def test_no_results_are_one_page() -> None:
    """An empty history ends at once."""
    assert history_page([], MONITORS, 1).items == ()
    assert history_page([], MONITORS, 1).next_cursor is None


@given(st.lists(st.text(max_size=5), max_size=5) | st.just(["check_results"]), st.text(max_size=9))
def test_a_cursor_from_elsewhere_is_refused(parts: list[str], text: str) -> None:
    """Whatever is no cursor of this list raises nothing but a refusal."""
    result = a_result(TENANT, MONITORS[0])
    cursor = history_page([result, result], MONITORS, 1).next_cursor
    assert cursor is not None
    scoped = decode_cursor(cursor, 5)[:2]
    for cursor in (text, encode_cursor(*parts), encode_cursor(*scoped, *parts)):
        with pytest.raises(InvalidValueError, match="cursor"):
            history_position(cursor, MONITORS)
