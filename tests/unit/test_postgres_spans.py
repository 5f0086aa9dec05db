"""How periods are put together from hours, days and weeks, and sketches from bytes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.periods import Period
from urlmon.domain.rollups import hour_of
from urlmon.domain.sketches import Sketch
from urlmon_adapters.postgres._sketch_bytes import pack, unpack
from urlmon_adapters.postgres._spans import EARLIEST, HOUR, OF_RESULTS, Spans, plan

MONDAY: Final = datetime(2026, 11, 23, tzinfo=UTC)
DAY: Final = timedelta(days=1)
INSTANT: Final = st.datetimes(
    datetime(2026, 10, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2026, 12, 1),  # noqa: DTZ001 - likewise
    timezones=st.just(UTC),
)


def spans(
    *,
    hours_from: datetime = EARLIEST,
    made_from: datetime = EARLIEST,
) -> dict[int, Spans]:
    """Return what there is: hours from one instant on, days and weeks between two."""
    last = datetime(9999, 1, 1, tzinfo=UTC)
    bounds = {1: (hours_from, last), 24: (made_from, MONDAY), 168: (made_from, MONDAY)}
    return {
        hours: Spans(hours=hours, made_from=since, made_until=until, closed_until=until)
        for hours, (since, until) in bounds.items()
    }


def test_the_longest_spans_are_taken() -> None:
    """Weeks first, then days, then hours, and results where hours are cut."""
    period = Period(
        since=MONDAY - 9 * DAY - 61 * HOUR / 60, until=MONDAY + 25 * HOUR + timedelta(seconds=1)
    )
    way = plan([period], spans())
    assert [(length, (until - since) / HOUR) for length, since, until in way.spans] == [
        (1, 1),
        (24, 48),
        (168, 168),
        (1, 25),
    ]
    assert [edge.length for edge in way.edges] == [timedelta(minutes=1), timedelta(seconds=1)]


def test_windows_that_adjoin_are_read_together() -> None:
    """Days of a row are one range, and so are minutes."""
    days = [Period(since=MONDAY - n * DAY, until=MONDAY - (n - 1) * DAY) for n in (3, 2, 1)]
    assert plan(days, spans()).spans == ((24, MONDAY - 3 * DAY, MONDAY),)
    minutes = [
        Period(since=MONDAY + n * HOUR / 60, until=MONDAY + (n + 1) * HOUR / 60) for n in range(90)
    ]
    way = plan(minutes, spans())
    assert (way.spans, len(way.edges)) == ((), 1)


@given(
    cuts=st.lists(INSTANT, min_size=2, max_size=5, unique=True).map(sorted),
    hours_from=st.just(EARLIEST) | INSTANT.map(hour_of),
    made_from=st.integers(0, 9).map(lambda weeks: MONDAY - 7 * weeks * DAY),
)
def test_everything_is_covered_once(
    cuts: list[datetime], hours_from: datetime, made_from: datetime
) -> None:
    """Spans and edges leave no gap and overlap nowhere, and each lies within what there is."""
    there = spans(hours_from=hours_from, made_from=made_from)
    parts = [Period(since=since, until=until) for since, until in pairwise(cuts)]
    way = plan(parts, there)
    pieces = sorted(
        [(since, until) for _, since, until in way.spans]
        + [(edge.since, edge.until) for edge in way.edges]
    )
    assert pieces[0][0] == cuts[0]
    assert pieces[-1][1] == cuts[-1]
    assert all(one[1] == other[0] for one, other in pairwise(pieces))
    for length, since, until in way.spans:
        if length != OF_RESULTS:
            assert there[length].made_from <= since < until <= there[length].made_until
            assert (until - since) % there[length].length == timedelta(0)
            assert there[length].floor(since) == since


@given(st.lists(st.integers(0, 3_600_000_000)), st.lists(st.integers(0, 3_600_000_000)))
def test_sketches_add_up_as_bytes(one: list[int], other: list[int]) -> None:
    """The bytes of two, one behind the other, are those of all values."""
    assert unpack(pack(Sketch.of(one)) + pack(Sketch.of(other))) == Sketch.of(one + other)


def test_a_sketch_that_breaks_off() -> None:
    """Bytes that are no sketch are refused."""
    with pytest.raises(ValueError, match="breaks off"):
        unpack(pack(Sketch.of([1, 2]))[:-1])
