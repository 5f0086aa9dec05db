"""Which spans of `check_rollups` there are, and how periods are put together from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen

from urlmon.domain.periods import Period
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._rows import fetch_all

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""No result is due earlier (`urlmon.domain._validators.instant`)."""
HOUR: Final = timedelta(hours=1)
OF_RESULTS: Final = 0
"""Stands for hours that no row was made for yet."""
_MONDAY: Final = datetime(1970, 1, 5, tzinfo=UTC)

_SPANS: Final = """
SELECT hours, by_location, made_from AT TIME ZONE 'UTC' AS made_from,
    made_until AT TIME ZONE 'UTC' AS made_until, opened_until AT TIME ZONE 'UTC' AS opened_until,
    closed_until AT TIME ZONE 'UTC' AS closed_until
FROM check_rollup_spans ORDER BY hours
"""

Range = tuple[int, datetime, datetime]
"""Spans of so many hours, from the first's beginning to the last's end."""


@frozen(kw_only=True)
class Spans:
    """The spans of one length that there are rows of.

    Attributes:
        hours: Their length.
        by_location: Whether there is one for each location, too.
        made_from: Where the first one begins.
        made_until: Where the last one ends.
        opened_until: Where the last one ends that is being made.
        closed_until: Before when late results mark them as stale.
    """

    hours: int
    by_location: bool
    made_from: datetime
    made_until: datetime
    opened_until: datetime
    closed_until: datetime

    @property
    def length(self) -> timedelta:
        """How long one is."""
        return self.hours * HOUR

    def floor(self, at: datetime) -> datetime:
        """Return where the span that an instant lies in begins."""
        return at - (at - _MONDAY) % self.length

    def ceil(self, at: datetime) -> datetime:
        """Return where the first span begins that does not begin before an instant."""
        return at + (_MONDAY - at) % self.length


@frozen(kw_only=True)
class Plan:
    """From what the statistics of some adjoining periods are added up.

    Attributes:
        spans: Rows of sums, each of which lies in one of the periods.
        edges: Where results themselves are to be read: parts of hours.
    """

    spans: tuple[Range, ...]
    edges: tuple[Period, ...]


async def read_spans(connection: Connection) -> list[Spans]:
    """Return which spans there are rows of, hours first and the longest last."""
    return [
        Spans(
            hours=row["hours"],
            by_location=row["by_location"],
            made_from=row["made_from"].replace(tzinfo=UTC),
            made_until=row["made_until"].replace(tzinfo=UTC),
            opened_until=row["opened_until"].replace(tzinfo=UTC),
            closed_until=row["closed_until"].replace(tzinfo=UTC),
        )
        for row in await fetch_all(connection, _SPANS, {})
    ]


def plan(parts: Sequence[Period], spans: Sequence[Spans]) -> Plan:
    """Say how adjoining periods are put together: whole hours from sums, the rest from results.

    Args:
        parts: The periods.
        spans: Which rows of sums to take, hours first and the longest last.
    """
    hours = spans[0]
    ranges: list[Range] = []
    edges: list[tuple[datetime, datetime]] = []
    for part in parts:
        first, last = hours.ceil(part.since), hours.floor(part.until)
        if first >= last:
            edges.append((part.since, part.until))
            continue
        edges += (part.since, first), (last, part.until)
        ranges += _cover(spans, first, last)
    return Plan(
        spans=tuple(_joined(ranges)),
        edges=tuple(
            Period(since=since, until=until)
            for _, since, until in _joined((0, since, until) for since, until in edges)
        ),
    )


def _cover(spans: Sequence[Spans], since: datetime, until: datetime) -> Iterator[Range]:
    """Cover a period, at whole hours, by the longest spans that there are."""
    if since >= until:
        return
    if not spans:
        yield OF_RESULTS, since, until
        return
    *shorter, these = spans
    first = these.ceil(max(since, these.made_from))
    last = these.floor(min(until, these.made_until))
    if first >= last:
        yield from _cover(shorter, since, until)
        return
    yield from _cover(shorter, since, first)
    yield these.hours, first, last
    yield from _cover(shorter, last, until)


def _joined(ranges: Iterable[Range]) -> Iterator[Range]:
    """Join ranges of one kind that adjoin, and leave out the empty ones."""
    last: Range | None = None
    for kind, since, until in ranges:
        if since == until:
            continue
        if last is not None and (last[0], last[2]) == (kind, since):
            last = kind, last[1], until
            continue
        if last is not None:
            yield last
        last = kind, since, until
    if last is not None:
        yield last
