"""What the results of a span add up to, as a point.

All of it is one text: a query costs by the fields that it opens.  Whole numbers with spaces in
between, in the order of `unpack`, and at last the sketch of the response times, in base 64.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final

from attrs import evolve, frozen

from urlmon.domain.sketches import Sketch
from urlmon.domain.sums import PHASES, Sums
from urlmon_adapters.influx._rows import Owner
from urlmon_adapters.influx._spans import Level

TOTAL: Final = ""
"""Stands for all locations together, where one could be named."""
_PHASES: Final = len(PHASES)
_NUMBERS: Final = 8 + 2 * _PHASES


@frozen(kw_only=True)
class Rolled:
    """The results of a span.

    Attributes:
        read_us: When reading what it is made of began, in microseconds since 1970; 0 where that was
            not all there was.
        made: How many checks were made, for coverage (`urlmon.domain.statistics.made`).
        sums: What they add up to.
    """

    read_us: int
    made: int
    sums: Sums


def merged(parts: Iterable[Rolled]) -> Rolled:
    """Add up spans that follow each other; when they were read is not known of the whole."""
    some = list(parts)
    return Rolled(
        read_us=0,
        made=sum(part.made for part in some),
        sums=Sums.merged(part.sums for part in some),
    )


def read_us_of(text: str) -> int:
    """Return `read_us` without reading the rest."""
    return int(text.partition(" ")[0])


def checks_of(text: str) -> int:
    """Return the number of checks without reading the rest."""
    return int(text.split(" ", 3)[2])


def unpack(text: str) -> Rolled:
    """Return what a point's text says.

    Raises:
        ValueError: It says nothing of the kind.
    """
    *numbers, sketch = text.split(" ")
    if len(numbers) != _NUMBERS:
        raise ValueError("a rollup of another shape")
    read_us, made, checks, failures, times, total_us, min_us, max_us, *phases = map(int, numbers)
    return Rolled(
        read_us=read_us,
        made=made,
        sums=Sums(
            checks=checks,
            failures=failures,
            times=times,
            total_us=total_us,
            min_us=min_us,
            max_us=max_us,
            phase_counts=tuple(phases[:_PHASES]),
            phase_totals_us=tuple(phases[_PHASES:]),
            values=None,
            sketch=Sketch.unpack(b64decode(sketch, validate=True)),
        ),
    )


def line(level: Level, span: int, owner: Owner, location: str, rolled: Rolled) -> str:
    """Return the line of a point; of a location, or of the `TOTAL`."""
    place = f"location={location}," if location else ""
    source = level.source(by_location=bool(location))
    return (
        f"{source},{place}monitor_id={owner[1]},tenant_id={owner[0]}"
        f' sums="{_pack(rolled)}" {level.stands_at(span)}\n'
    )


def _pack(rolled: Rolled) -> str:
    sums = rolled.sums
    numbers = (
        rolled.read_us,
        rolled.made,
        sums.checks,
        sums.failures,
        sums.times,
        sums.total_us,
        sums.min_us,
        sums.max_us,
        *sums.phase_counts,
        *sums.phase_totals_us,
    )
    return f"{' '.join(map(str, numbers))} {b64encode(sums.distribution().pack()).decode()}"


def read_at(rolled: Rolled, read_us: int) -> Rolled:
    """Say when what it is made of was read."""
    return evolve(rolled, read_us=read_us)
