"""The spans of time that results are rolled up by: hours, days and weeks of UTC.

Where the points of a span stand in time is not always where the span does.  A query opens each
series in each shard of its time, and a shard spans a day: a point a day would cost as much as the
results themselves.  So days and weeks stand side by side, a second apart, at the end of a block of
several: later than what they are made of, and so never gone before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from attrs import evolve, frozen

_MICROSECOND: Final = timedelta(microseconds=1)
HOUR_US: Final = timedelta(hours=1) // _MICROSECOND
DAY_US: Final = 24 * HOUR_US
_SECOND_US: Final = 1_000_000
# To read so many spans in vain, between others that are wanted, costs no more than another query.
_GAP: Final = 8
_HOURS_OF_MARKS: Final = 32 * 24

LATE_AFTER_US: Final = 5 * 60 * _SECOND_US
"""What is recorded so long after the end of its hour marks the hour as touched."""
GRACE_US: Final = 5 * 60 * _SECOND_US
"""`LONGEST_WRITE`, and three minutes that the clocks of two machines may be apart."""
LONGEST_WRITE: Final = timedelta(minutes=2)
"""How long after a recorder looked at the clock its results may arrive without another mark."""
MARKED_BY_HOUR_US: Final = DAY_US
"""What is recorded so long after the end of its hour marks its whole week instead: a copy of 90
days has 13 marks a monitor then, which are read with each answer, and not 2,160."""
CLOSED_AFTER_US: Final = LATE_AFTER_US + GRACE_US
"""So long after its end an hour is rolled up: by then what was not late has arrived."""


@frozen(kw_only=True)
class Level:
    """Spans of one length; each is known by the microsecond that it begins at.

    Attributes:
        name: The tag of its marks.
        measurement: Where its points are; those by location in one with this beginning.
        length_us: How long a span is.
        block: How many stand side by side; 0 for each at its own time.
        parts: The level that it is made of; None for results.
    """

    name: str
    measurement: str
    length_us: int
    block: int
    parts: Level | None

    @property
    def marks(self) -> Level:
        """The same spans, where their marks stand: side by side, also those of hours.

        Else to mark 90 days at once, most of them empty, made 90 shards, which took seconds.
        """
        return self if self.block else evolve(self, block=_HOURS_OF_MARKS)

    def source(self, *, by_location: bool) -> str:
        """Return the measurement of its points."""
        return f"{self.measurement}_by_location" if by_location else self.measurement

    def within(self, since: int, until: int) -> range:
        """Return the spans that lie within a stretch of time."""
        first = -(-since // self.length_us) * self.length_us
        return range(first, until - self.length_us + 1, self.length_us)

    def runs(self, spans: Iterable[int]) -> list[Stretch]:
        """Return the stretches that some spans, in their order, are in; those near by are one."""
        length = self.length_us
        return joined(((span, span + length) for span in spans), gap=_GAP * length)

    def stands_at(self, span: int) -> int:
        """Return the time of a span's points."""
        if not self.block:
            return span
        block, place = divmod(span // self.length_us, self.block)
        return (block + 1) * self.block * self.length_us + place * _SECOND_US

    def span_at(self, time: int) -> int:
        """Return the span whose points stand at a time.

        Raises:
            ValueError: There is none.
        """
        span = time
        if self.block:
            block, rest = divmod(time, self.block * self.length_us)
            span = ((block - 1) * self.block + rest // _SECOND_US) * self.length_us
        if self.stands_at(span) != time or span % self.length_us:
            raise ValueError("a rollup at no time of a span")
        return span


HOUR: Final = Level(name="hour", measurement="check_hours", length_us=HOUR_US, block=0, parts=None)
DAY: Final = Level(name="day", measurement="check_days", length_us=DAY_US, block=32, parts=HOUR)
WEEK: Final = Level(
    name="week", measurement="check_weeks", length_us=7 * DAY_US, block=8, parts=DAY
)
LEVELS: Final = (WEEK, DAY, HOUR)

Stretch = tuple[int, int]
"""From one microsecond since 1970 to another, which is not part of it."""


def joined(stretches: Iterable[Stretch], *, gap: int = 0) -> list[Stretch]:
    """Join stretches, in their order, that are no further apart than a gap."""
    found: list[Stretch] = []
    for since, until in stretches:
        if found and since - found[-1][1] <= gap:
            found[-1] = found[-1][0], until
        else:
            found.append((since, until))
    return found
