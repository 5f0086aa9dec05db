"""How periods are put together from hours, days and weeks, and sketches from bytes."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.periods import Period
from urlmon.domain.rollups import hour_of
from urlmon.domain.sketches import Sketch
from urlmon_adapters.postgres._sketch_bytes import ranges, unpack
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
) -> list[Spans]:
    """Return what there is: hours from one instant on, the longer ones between two."""
    last = datetime(9999, 1, 1, tzinfo=UTC)
    bounds = {1: (hours_from, last), **dict.fromkeys((6, 24, 168, 672), (made_from, MONDAY))}
    return [
        Spans(
            hours=hours,
            by_location=hours in {1, 24, 168},
            made_from=since,
            made_until=until,
            opened_until=until,
            closed_until=until,
        )
        for hours, (since, until) in bounds.items()
    ]


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
    listed = spans(hours_from=hours_from, made_from=made_from)
    there = {each.hours: each for each in listed}
    parts = [Period(since=since, until=until) for since, until in pairwise(cuts)]
    way = plan(parts, listed)
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


TIMES: Final = st.lists(st.integers(0, 3_600_000_000))


def span_bytes(times: list[int]) -> bytes:
    """Return the sketch of a longer span, after its length, as a query gives it."""
    counts = Sketch.of(times).counts
    if not counts:
        return b""
    lowest, highest = min(counts), max(counts)
    lanes = [counts.get(number, 0) for number in range(highest, lowest - 1, -1)]
    return struct.pack(f">IH{len(lanes)}I", 2 + 4 * len(lanes), lowest, *lanes)


@given(hours=st.lists(TIMES, max_size=3), longer=st.lists(TIMES, max_size=3))
def test_sketches_add_up_as_bytes(hours: list[list[int]], longer: list[list[int]]) -> None:
    """The bytes of some, one behind the other, are those of all values."""
    sketch = unpack(b"".join(map(ranges, hours)), b"".join(map(span_bytes, longer)))
    assert sketch == Sketch.of(time for times in (*hours, *longer) for time in times)


@pytest.mark.parametrize(
    "broken",
    [
        (ranges([1, 2])[:-1], b""),
        (b"", span_bytes([1, 2])[:-1]),
        (b"", span_bytes([1, 2]) + span_bytes([3])[:-4]),
    ],
)
def test_a_sketch_that_breaks_off(broken: tuple[bytes, bytes]) -> None:
    """Bytes that are no sketch are refused."""
    with pytest.raises(ValueError, match=r"breaks off|multiple"):
        unpack(*broken)
