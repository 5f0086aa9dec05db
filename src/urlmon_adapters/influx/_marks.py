"""Marks: which spans are rolled up, and what has been touched since.

A rollup says when reading what it is made of began.  It holds if nothing touched its span later
than `GRACE_US` before that: whatever was written by then has arrived.  So nothing is ever locked or
taken back: a mark is written before what it is about, an older rollup that is written late over a
newer one is seen to be older, and what does not hold is read from the results themselves.

Results that took longer than `LONGEST_WRITE` to arrive, as when the recorder was suspended, are
marked once more afterwards, as of then: what was read before they came is believed no longer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Final
from uuid import UUID

from attrs import evolve, field, frozen

from urlmon.domain.check_results import CheckResult
from urlmon.domain.ids import MonitorId, TenantId
from urlmon_adapters.influx._client import Influx, Rows
from urlmon_adapters.influx._lines import instant, microseconds
from urlmon_adapters.influx._queries import END_US, Select
from urlmon_adapters.influx._rows import Owner, check_tenant, owner_of
from urlmon_adapters.influx._spans import (
    GRACE_US,
    HOUR,
    HOUR_US,
    LATE_AFTER_US,
    MARKED_BY_HOUR_US,
    WEEK,
    Level,
)

_ROLLED: Final = "check_rolled"
_TOUCHED: Final = "check_touched"
_FIELDS: Final = {HOUR: ("late_us", "redone_us"), WEEK: ("week_late_us", "week_redone_us")}
"""What marks hours, and weeks as a whole, as late and as done again."""
_MARKS: Final = '"late_us", "redone_us", "week_late_us", "week_redone_us", "forgotten_us"'
_BY_OWNER: Final = 'GROUP BY "tenant_id", "monitor_id"'

Mark = tuple[int, int, bool, int]
"""Tenant, monitor, whether a week is meant, and when that or the hour begins; with numbers, as
UUIDs are slow."""


@frozen
class Touched:
    """What has touched the results of one monitor.

    Attributes:
        late: Of each hour, and of each week as a whole, that something late arrived for, when that
            was last.
        redone: Of each hour, and of each week as a whole, that was rolled up again, when reading
            for that began.
        forgotten_us: When all results up to then were deleted last; 0 if never.
    """

    late: Mapping[Level, dict[int, int]]
    redone: Mapping[Level, dict[int, int]]
    forgotten_us: int = 0

    def due(self, level: Level, now: int) -> list[int]:
        """Return the hours, or weeks, to be rolled up again: whatever touched them has arrived."""
        redone = self.redone[level]
        return [
            span
            for span, late_us in self.late[level].items()
            if redone.get(span, 0) <= late_us + GRACE_US < now
        ]

    def redone_at(self, instant_us: int, read_us: int) -> Touched:
        """Return the same with the week that an instant lies in rolled up again."""
        weeks = {**self.redone[WEEK], instant_us - instant_us % WEEK.length_us: read_us}
        return evolve(self, redone={**self.redone, WEEK: weeks})

    def late_in(self, level: Level) -> dict[int, int]:
        """Return of each span that something late arrived for, in an hour, when that was last."""
        late: dict[int, int] = {}
        for hour, at in self.late[HOUR].items():
            span = hour - hour % level.length_us
            late[span] = max(at, late.get(span, 0))
        return late

    def holds(self, level: Level, late: Mapping[int, int], span: int, read_us: int | None) -> bool:
        """Say whether a rollup is what the results of its span add up to.

        Args:
            level: Its length.
            late: What `late_in` says.
            span: Where the span begins.
            read_us: When reading for it began; None where there is none, which then says that
                there are no results.
        """
        week = span - span % WEEK.length_us
        touched_us = max(late.get(span, 0), self.late[WEEK].get(week, 0))
        if read_us is None:
            # Rolling up a week again writes nothing for an hour where there is nothing.
            done_us = self.redone[WEEK].get(week, 0) if level == HOUR else 0
            return touched_us == 0 or touched_us + GRACE_US < done_us
        if span <= self.forgotten_us:
            touched_us = max(touched_us, self.forgotten_us)
        return touched_us == 0 or touched_us + GRACE_US < read_us


def late_marks(results: Iterable[CheckResult], now: datetime) -> Iterator[Mark]:
    """Yield the marks of results that come late, as of now, as often as they do."""
    last = microseconds(now) - LATE_AFTER_US
    end = instant(last - last % HOUR_US)
    by_hour = last - MARKED_BY_HOUR_US
    for each in results:
        if each.scheduled_at < end:
            at = microseconds(each.scheduled_at)
            hour = at - at % HOUR_US
            old = hour < by_hour
            begin = at - at % WEEK.length_us if old else hour
            yield each.tenant_id.int, each.monitor_id.int, old, begin


def late_lines(marks: Iterable[Mark], now: datetime) -> Iterator[bytes]:
    """Make the lines of marks that results come late, in parts of a millisecond or so."""
    late_us = microseconds(now)
    lines = (
        f"check_touched,monitor_id={UUID(int=monitor_id)},tenant_id={UUID(int=tenant_id)}"
        f" {_FIELDS[WEEK if old else HOUR][0]}={late_us}i {begin}\n"
        for tenant_id, monitor_id, old, begin in marks
    )
    while some := "".join(islice(lines, 500)):
        yield some.encode()


def forgotten_line(owner: Owner, now_us: int) -> bytes:
    """Return the mark that a monitor's results were deleted."""
    tags = f"monitor_id={owner[1]},tenant_id={owner[0]}"
    return f"check_touched,{tags} forgotten_us={now_us}i {now_us}\n".encode()


def redone_line(level: Level, owner: Owner, span: int, read_us: int) -> str:
    """Return the mark that an hour, or a week as a whole, was rolled up again."""
    tags = f"monitor_id={owner[1]},tenant_id={owner[0]}"
    return f"check_touched,{tags} {_FIELDS[level][1]}={read_us}i {span}\n"


def rolled_line(level: Level, span: int, read_us: int) -> str:
    """Return the mark that a span was rolled up, for all who have results in it."""
    return f"check_rolled,span={level.name} read_us={read_us}i {level.marks.stands_at(span)}\n"


async def read_rolled(
    influx: Influx, operation: str, level: Level, spans: Sequence[int]
) -> set[int]:
    """Return which of some spans, in their order, are rolled up."""
    found: set[int] = set()
    marks = level.marks
    for since, until in level.runs(spans):
        query = Select(
            columns='"read_us"',
            source=_ROLLED,
            since_us=marks.stands_at(since),
            until_us=marks.stands_at(until - level.length_us) + 1,
            conditions=['"span" = $span'],
            values={"span": level.name},
        )
        await influx.query(
            operation,
            *query.bound(),
            take=lambda rows: found.update(marks.span_at(row[0]) for row in rows.values),
        )
    return found.intersection(spans)


@frozen
class RolledUp:
    """Which spans are rolled up; asks the bucket once for each."""

    influx: Influx
    operation: str
    _known: dict[Level, dict[int, bool]] = field(init=False, factory=dict)

    async def among(self, level: Level, spans: Iterable[int]) -> set[int]:
        """Return which of some spans, in their order, are."""
        known = self._known.setdefault(level, {})
        unknown = [span for span in spans if span not in known]
        found = await read_rolled(self.influx, self.operation, level, unknown)
        known.update((span, span in found) for span in unknown)
        return {span for span in spans if known[span]}


async def read_touched(
    influx: Influx,
    operation: str,
    since: int,
    *,
    tenant_id: TenantId | None = None,
    monitor_ids: Sequence[MonitorId] = (),
) -> Mapping[Owner, Touched]:
    """Return what has touched hours from an instant on.

    Args:
        influx: The bucket.
        operation: The port's method.
        since: From when on, in microseconds since 1970.
        tenant_id: Whose; None for everybody's.
        monitor_ids: Which; none for all.
    """
    found: defaultdict[Owner, tuple[dict[int, int], ...]]
    found = defaultdict(lambda: tuple({} for _ in range(5)))

    def take(rows: Rows) -> None:
        if tenant_id is not None:
            check_tenant(rows.tags, tenant_id)
        mine = found[owner_of(rows.tags)]
        for at, *values in rows.values:
            for known, value in zip(mine, values, strict=True):
                if value is not None:
                    known[at] = value

    query = Select(
        columns=_MARKS,
        source=_TOUCHED,
        since_us=since - since % WEEK.length_us,
        until_us=END_US,
        tenant_id=tenant_id,
        monitor_ids=monitor_ids,
        then=_BY_OWNER,
    )
    await influx.query(operation, *query.bound(), take=take)
    return {
        owner: Touched(
            late={HOUR: late, WEEK: week_late},
            redone={HOUR: redone, WEEK: week_redone},
            forgotten_us=max(forgotten.values(), default=0),
        )
        for owner, (late, redone, week_late, week_redone, forgotten) in found.items()
    }
