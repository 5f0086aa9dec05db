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

from attrs import field, frozen

from urlmon.domain.check_results import CheckResult
from urlmon.domain.ids import MonitorId, TenantId
from urlmon_adapters.influx._client import Influx, Rows
from urlmon_adapters.influx._lines import instant, microseconds
from urlmon_adapters.influx._queries import END_US, Select
from urlmon_adapters.influx._rows import Owner, check_tenant, owner_of
from urlmon_adapters.influx._spans import GRACE_US, HOUR_US, LATE_AFTER_US, Level

_ROLLED: Final = "check_rolled"
_TOUCHED: Final = "check_touched"
_BY_OWNER: Final = 'GROUP BY "tenant_id", "monitor_id"'

OwnedHour = tuple[int, int, int]
"""Tenant, monitor, and when the hour begins; with numbers, as UUIDs are slow."""


@frozen
class Touched:
    """What has touched the results of one monitor.

    Attributes:
        late: Of each hour that something late arrived for, when that was last.
        redone: Of each hour that was rolled up again, when reading for that began.
        forgotten_us: When all results up to then were deleted last; 0 if never.
    """

    late: dict[int, int] = field(factory=dict)
    redone: dict[int, int] = field(factory=dict)
    forgotten_us: int = 0

    def late_in(self, level: Level) -> dict[int, int]:
        """Return of each span that something late arrived for when that was last."""
        late: dict[int, int] = {}
        for hour, at in self.late.items():
            span = hour - hour % level.length_us
            late[span] = max(at, late.get(span, 0))
        return late

    def holds(self, late: Mapping[int, int], span: int, read_us: int | None) -> bool:
        """Say whether a rollup is what the results of its span add up to.

        Args:
            late: What `late_in` says.
            span: Where the span begins.
            read_us: When reading for it began; None where there is none, which then says that
                there are no results.
        """
        if read_us is None:
            return span not in late
        touched_us = late.get(span, 0)
        if span <= self.forgotten_us:
            touched_us = max(touched_us, self.forgotten_us)
        return touched_us == 0 or touched_us + GRACE_US < read_us


def late_hours(results: Iterable[CheckResult], now: datetime) -> Iterator[OwnedHour]:
    """Yield the hours that results come late for, as of now, as often as they do."""
    last = microseconds(now) - LATE_AFTER_US
    end = instant(last - last % HOUR_US)
    for each in results:
        if each.scheduled_at < end:
            at = microseconds(each.scheduled_at)
            yield each.tenant_id.int, each.monitor_id.int, at - at % HOUR_US


def late_lines(hours: Iterable[OwnedHour], now: datetime) -> Iterator[bytes]:
    """Make the marks of hours that results come late for, in parts of a millisecond or so."""
    late_us = microseconds(now)
    lines = (
        f"check_touched,monitor_id={UUID(int=monitor_id)},tenant_id={UUID(int=tenant_id)}"
        f" late_us={late_us}i {hour}\n"
        for tenant_id, monitor_id, hour in hours
    )
    while some := "".join(islice(lines, 500)):
        yield some.encode()


def forgotten_line(owner: Owner, now_us: int) -> bytes:
    """Return the mark that a monitor's results were deleted."""
    tags = f"monitor_id={owner[1]},tenant_id={owner[0]}"
    return f"check_touched,{tags} forgotten_us={now_us}i {now_us}\n".encode()


def redone_line(owner: Owner, hour: int, read_us: int) -> str:
    """Return the mark that an hour was rolled up again."""
    tags = f"monitor_id={owner[1]},tenant_id={owner[0]}"
    return f"check_touched,{tags} redone_us={read_us}i {hour}\n"


def rolled_line(level: Level, span: int, read_us: int) -> str:
    """Return the mark that a span was rolled up, for all who have results in it."""
    return f"check_rolled,span={level.name} read_us={read_us}i {level.stands_at(span)}\n"


async def read_rolled(
    influx: Influx, operation: str, level: Level, spans: Sequence[int]
) -> set[int]:
    """Return which of some spans, in their order, are rolled up."""
    found: set[int] = set()
    for since, until in level.runs(spans):
        query = Select(
            columns='"read_us"',
            source=_ROLLED,
            since_us=level.stands_at(since),
            until_us=level.stands_at(until - level.length_us) + 1,
            conditions=['"span" = $span'],
            values={"span": level.name},
        )
        await influx.query(
            operation,
            *query.bound(),
            take=lambda rows: found.update(level.span_at(row[0]) for row in rows.values),
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
    late: defaultdict[Owner, dict[int, int]] = defaultdict(dict)
    redone: defaultdict[Owner, dict[int, int]] = defaultdict(dict)
    forgotten: dict[Owner, int] = {}

    def take(rows: Rows) -> None:
        if tenant_id is not None:
            check_tenant(rows.tags, tenant_id)
        owner = owner_of(rows.tags)
        for at, late_us, forgotten_us, redone_us in rows.values:
            if late_us is not None:
                late[owner][at] = late_us
            if redone_us is not None:
                redone[owner][at] = redone_us
            if forgotten_us is not None:
                forgotten[owner] = max(forgotten_us, forgotten.get(owner, 0))

    query = Select(
        columns='"late_us", "forgotten_us", "redone_us"',
        source=_TOUCHED,
        since_us=since,
        until_us=END_US,
        tenant_id=tenant_id,
        monitor_ids=monitor_ids,
        then=_BY_OWNER,
    )
    await influx.query(operation, *query.bound(), take=take)
    return {
        owner: Touched(late=late[owner], redone=redone[owner], forgotten_us=forgotten.get(owner, 0))
        for owner in {*late, *redone, *forgotten}
    }
