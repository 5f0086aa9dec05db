"""The points of a query by monitor and location, summed up by the rules of the domain."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import field, frozen

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.statistics import Statistics
from urlmon.domain.sums import PHASES, Sums
from urlmon_adapters.influx._client import Rows
from urlmon_adapters.influx._lines import NO_NUMBER
from urlmon_adapters.influx._rows import check_owner, succeeded

TIMES: Final = ", ".join(f'"{name}"' for name in ("response_time_us", *PHASES))


def _numbers() -> array[int]:
    return array("q")  # eight bytes a number; refuses everything else


@frozen
class Points:
    """Points of one monitor from one location; instants are microseconds since 1970."""

    succeeded_at: array[int] = field(factory=_numbers)
    response_times_us: array[int] = field(factory=_numbers)
    phases: tuple[array[int], ...] = field(factory=lambda: tuple(_numbers() for _ in PHASES))
    failed_at: array[int] = field(factory=_numbers)

    def overruled(self) -> set[int]:
        """Return when a success was recorded, and a failure that stands for it."""
        return set(self.failed_at).intersection(self.succeeded_at) if self.failed_at else set()

    def instants(self) -> set[int]:
        """Return when there is a result."""
        return {*self.succeeded_at, *self.failed_at}


class Collector:
    """Takes the rows of a query of `TIMES`, grouped by all tags."""

    def __init__(self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]) -> None:
        self._tenant_id = tenant_id
        self._points: dict[MonitorId, defaultdict[str, Points]] = {
            each: defaultdict(Points) for each in monitor_ids
        }

    def __call__(self, rows: Rows) -> None:
        """Take some rows."""
        monitor_id = check_owner(rows.tags, self._tenant_id, self._points)
        points = self._points[monitor_id][rows.tags["location"]]
        instants, response_times_us, *phases = zip(*rows.values, strict=True)
        if succeeded(rows.tags):
            points.succeeded_at.extend(instants)
            points.response_times_us.extend(response_times_us)
            for known, values in zip(points.phases, phases, strict=True):
                known.extend(values)
        else:
            points.failed_at.extend(instants)

    def of(self, monitor_id: MonitorId) -> Mapping[str, Points]:
        """Return a monitor's points by location, in the order of their names."""
        return dict(sorted(self._points[monitor_id].items()))


def sum_up(locations: Iterable[Points], edges: Sequence[int]) -> tuple[Statistics, ...]:
    """Return what the results between each two neighbours of `edges` amount to."""
    checks, failures = [0] * (len(edges) - 1), [0] * (len(edges) - 1)
    times: list[list[int]] = [[] for _ in checks]
    counts = [[0] * len(PHASES) for _ in checks]
    totals = [[0] * len(PHASES) for _ in checks]
    for points in locations:
        overruled = points.overruled()
        successes = zip(points.succeeded_at, points.response_times_us, *points.phases, strict=True)
        for at, response_time_us, *phases in successes:
            if at not in overruled:
                place = bisect_right(edges, at) - 1
                checks[place] += 1
                if response_time_us != NO_NUMBER:
                    times[place].append(response_time_us)
                for number, phase_us in enumerate(phases):
                    if phase_us != NO_NUMBER:
                        counts[place][number] += 1
                        totals[place][number] += phase_us
        for at in points.failed_at:
            place = bisect_right(edges, at) - 1
            checks[place] += 1
            failures[place] += 1
    return tuple(
        Sums.counted(
            checks=checks[place],
            failures=failures[place],
            values=times[place],
            phase_counts=tuple(counts[place]),
            phase_totals_us=tuple(totals[place]),
        ).statistics()
        for place in range(len(checks))
    )
