"""The points of a query by monitor and location, summed up by the rules of the domain."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import define, field, frozen

from urlmon.domain.statistics import made
from urlmon.domain.sums import PHASES, Sums
from urlmon_adapters.influx._client import Rows
from urlmon_adapters.influx._lines import NO_NUMBER
from urlmon_adapters.influx._rows import Owner, owner_of, succeeded
from urlmon_adapters.influx._spans import HOUR_US
from urlmon_adapters.influx._sums import TOTAL, Rolled

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


class Collector:
    """Takes the rows of a query of `TIMES`, grouped by all tags."""

    def __init__(self, owners: Iterable[Owner]) -> None:
        self._points: dict[Owner, defaultdict[str, Points]] = {
            each: defaultdict(Points) for each in owners
        }

    def __call__(self, rows: Rows) -> None:
        """Take some rows."""
        points = self._points[owner_of(rows.tags)][rows.tags["location"]]
        instants, response_times_us, *phases = zip(*rows.values, strict=True)
        if succeeded(rows.tags):
            points.succeeded_at.extend(instants)
            points.response_times_us.extend(response_times_us)
            for known, values in zip(points.phases, phases, strict=True):
                known.extend(values)
        else:
            points.failed_at.extend(instants)

    def of(self, owner: Owner) -> Mapping[str, Points]:
        """Return a monitor's points by location."""
        return self._points[owner]


def sum_up(locations: Mapping[str, Points], edges: Sequence[int]) -> list[dict[str, Rolled]]:
    """Return what the points between each two neighbours of `edges` add up to.

    By location, and with all of them together as the `TOTAL`; nothing where there are no points.
    """
    found: list[dict[str, Rolled]] = [{} for _ in edges[1:]]
    hours: list[dict[tuple[int, str], int]] = [{} for _ in edges[1:]]
    for location, points in locations.items():
        for place, counts in _counts(points, edges).items():
            hours[place] |= {(hour, location): count for hour, count in counts.hours.items()}
            found[place][location] = Rolled(
                read_us=0, made=sum(counts.hours.values()), sums=counts.sums()
            )
    for pieces, counted in zip(found, hours, strict=True):
        if pieces:
            sums = Sums.merged(each.sums for each in pieces.values())
            pieces[TOTAL] = Rolled(read_us=0, made=made(counted), sums=sums)
    return found


@define
class _Counts:
    checks: int = 0
    failures: int = 0
    values: list[int] = field(factory=list)
    phase_counts: list[int] = field(factory=lambda: [0] * len(PHASES))
    phase_totals_us: list[int] = field(factory=lambda: [0] * len(PHASES))
    hours: Counter[int] = field(factory=Counter)

    def sums(self) -> Sums:
        return Sums.counted(
            checks=self.checks,
            failures=self.failures,
            values=self.values,
            phase_counts=tuple(self.phase_counts),
            phase_totals_us=tuple(self.phase_totals_us),
        )


def _counts(points: Points, edges: Sequence[int]) -> Mapping[int, _Counts]:
    found: defaultdict[int, _Counts] = defaultdict(_Counts)
    overruled = points.overruled()
    successes = zip(points.succeeded_at, points.response_times_us, *points.phases, strict=True)
    for at, response_time_us, *phases in successes:
        if at in overruled:
            continue
        counts = found[bisect_right(edges, at) - 1]
        counts.checks += 1
        counts.hours[at // HOUR_US] += 1
        if response_time_us != NO_NUMBER:
            counts.values.append(response_time_us)
        for number, phase_us in enumerate(phases):
            if phase_us != NO_NUMBER:
                counts.phase_counts[number] += 1
                counts.phase_totals_us[number] += phase_us
    for at in points.failed_at:
        counts = found[bisect_right(edges, at) - 1]
        counts.checks += 1
        counts.failures += 1
        counts.hours[at // HOUR_US] += 1
    return found
