"""What results add up to, in a form that can be added up again.

Counts, sums, smallest and largest values are exact, however often they are added up.  Percentiles
are exact while all response times are at hand, and within `sketches.RELATIVE_ERROR` once a part has
only a sketch of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import evolve, frozen

from urlmon.domain.check_results import CheckResult
from urlmon.domain.sketches import Sketch
from urlmon.domain.statistics import (
    PhaseMeans,
    ResponseTimes,
    Statistics,
    nearest_rank,
    rank_of,
)

PHASES: Final = ("dns_us", "connect_us", "tls_us", "ttfb_us", "transfer_us")
"""The order of the phases in `Sums.phase_counts` and `Sums.phase_totals_us`."""
_NONE: Final = (0,) * len(PHASES)


@frozen(kw_only=True)
class Sums:
    """What a set of results adds up to.  Response times and phases are those of the successes.

    Attributes:
        checks: How many results there are.
        failures: How many of them failed.
        times: How many have a response time.
        total_us: The sum of the response times.
        min_us: The shortest; 0 where there is none.
        max_us: The longest; 0 where there is none.
        phase_counts: How many have each of the `PHASES`.
        phase_totals_us: The sum of each of the `PHASES`.
        values: All response times, in any order; None where only a sketch of them is at hand.
        sketch: The sketch of the response times; None where `values` are there instead.
    """

    checks: int = 0
    failures: int = 0
    times: int = 0
    total_us: int = 0
    min_us: int = 0
    max_us: int = 0
    phase_counts: tuple[int, ...] = _NONE
    phase_totals_us: tuple[int, ...] = _NONE
    values: Sequence[int] | None = ()
    sketch: Sketch | None = None

    @classmethod
    def of(cls, results: Iterable[CheckResult]) -> Sums:
        """Add up results."""
        checks = failures = 0
        values: list[int] = []
        phases: tuple[list[int], ...] = ([], [], [], [], [])
        for result in results:
            checks += 1
            if result.error is not None:
                failures += 1
                continue
            if result.response_time_us is not None:
                values.append(result.response_time_us)
            for name, known in zip(PHASES, phases, strict=True):
                value: int | None = getattr(result.phases, name)
                if value is not None:
                    known.append(value)
        return cls.counted(
            checks=checks,
            failures=failures,
            values=values,
            phase_counts=tuple(map(len, phases)),
            phase_totals_us=tuple(map(sum, phases)),
        )

    @classmethod
    def counted(
        cls,
        *,
        checks: int,
        failures: int,
        values: Sequence[int],
        phase_counts: tuple[int, ...] = _NONE,
        phase_totals_us: tuple[int, ...] = _NONE,
    ) -> Sums:
        """Complete what was counted elsewhere by what the response times amount to."""
        return cls(
            checks=checks,
            failures=failures,
            times=len(values),
            total_us=sum(values),
            min_us=min(values, default=0),
            max_us=max(values, default=0),
            phase_counts=phase_counts,
            phase_totals_us=phase_totals_us,
            values=values,
        )

    @classmethod
    def merged(cls, parts: Iterable[Sums]) -> Sums:
        """Add up sums of different results."""
        some = [part for part in parts if part.checks]
        if len(some) == 1:
            return some[0]
        timed = [part for part in some if part.times]
        exact = all(part.values is not None for part in timed)
        return cls(
            checks=sum(part.checks for part in some),
            failures=sum(part.failures for part in some),
            times=sum(part.times for part in timed),
            total_us=sum(part.total_us for part in timed),
            min_us=min((part.min_us for part in timed), default=0),
            max_us=max((part.max_us for part in timed), default=0),
            phase_counts=_columns(part.phase_counts for part in some),
            phase_totals_us=_columns(part.phase_totals_us for part in some),
            values=[value for part in timed for value in part.values or ()] if exact else None,
            sketch=None if exact else Sketch.merged(part.distribution() for part in timed),
        )

    def distribution(self) -> Sketch:
        """Return the sketch of the response times."""
        return Sketch.of(self.values or ()) if self.sketch is None else self.sketch

    def rolled_up(self) -> Sums:
        """Return the sums with a sketch in the place of the response times."""
        return evolve(self, values=None, sketch=self.distribution())

    def statistics(self) -> Statistics:
        """Return what the results amount to."""
        return Statistics(
            checks=self.checks,
            failures=self.failures,
            response_times=self._response_times() if self.times else None,
            phases=PhaseMeans(*map(_mean, self.phase_totals_us, self.phase_counts)),
        )

    def _response_times(self) -> ResponseTimes:
        if self.values is not None:
            ordered = sorted(self.values)
            percentiles = tuple(nearest_rank(ordered, percent) for percent in (50, 95, 99))
        else:
            # What stands for the first or the last values can lie beyond them.
            found = self.distribution().at_ranks(rank_of(p, self.times) for p in (50, 95, 99))
            percentiles = tuple(min(max(value, self.min_us), self.max_us) for value in found)
        p50_us, p95_us, p99_us = percentiles
        return ResponseTimes(
            count=self.times,
            total_us=self.total_us,
            min_us=self.min_us,
            max_us=self.max_us,
            p50_us=p50_us,
            p95_us=p95_us,
            p99_us=p99_us,
            exact=self.values is not None,
        )


def statistics_of(results: Iterable[CheckResult]) -> Statistics:
    """Return what results amount to, exactly."""
    return Sums.of(results).statistics()


def _columns(rows: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*rows, strict=True))) or _NONE


def _mean(total: int, count: int) -> float | None:
    return total / count if count else None
