"""Quantile sketches: how many whole microseconds lie in each of some narrow ranges.

This is DDSketch (Charles Masson, Jee E. Rim, Homin K. Lee: "DDSketch: a fast and fully-mergeable
quantile sketch with relative-error guarantees", PVLDB 12, 2019): logarithmic ranges, each with one
value that stands for all of it, within 1 % of each of them.  So counts, and with them ranks, are
exact and can be added up in any order; only the value that is at a rank is known to 1 %.

The edges of the ranges are whole numbers, reckoned in whole numbers, so that every machine has the
same.  Below 100 microseconds a range is a single value.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import accumulate

from attrs import field, frozen

LARGEST_US = 3_600_000_000
RELATIVE_ERROR = 0.01
"""How far a percentile from a sketch can be from the exact one, as a share of the exact one."""
_VERSION = 1
_LARGEST_COUNT = 2**63 - 1


def _ranges() -> tuple[list[int], list[int]]:
    """Return where each range begins, and what stands for it; ranges are numbered from 1.

    What stands for a range is as far above its first value as 1 % of that allows, and its last
    value is as far above what stands for it as 1 % of that last value allows.
    """
    starts, values, start = [], [0], 0
    while start <= LARGEST_US:
        value = start * 101 // 100
        starts.append(start)
        values.append(value)
        start = value * 100 // 99 + 1
    return starts, values


_STARTS, _VALUES = _ranges()
_RANGE_OF = partial(bisect_right, _STARTS)


@frozen
class Sketch:
    """A distribution of whole microseconds from 0 to one hour, to be added up with others.

    Two sketches of the same values are equal, however they came to be.

    Attributes:
        counts: How many values lie in each of the ranges that have some, by its number.
    """

    counts: Mapping[int, int] = field(factory=dict)

    @classmethod
    def of(cls, values: Iterable[int]) -> Sketch:
        """Make the sketch of some values, each from 0 to 3,600,000,000."""
        return cls(dict(Counter(map(_RANGE_OF, values))))

    @classmethod
    def merged(cls, sketches: Iterable[Sketch]) -> Sketch:
        """Make the sketch of the values of all of some sketches together."""
        counts: dict[int, int] = {}
        for sketch in sketches:
            for index, count in sketch.counts.items():
                counts[index] = counts.get(index, 0) + count
        return cls(counts)

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.counts.values())

    def at_ranks(self, ranks: Iterable[int]) -> tuple[int, ...]:
        """Return about which value is at each of some ranks, of the values in ascending order.

        Each is within `RELATIVE_ERROR` of the value that is there.

        Args:
            ranks: Each from 1, for the smallest value, to `count`, for the largest.
        """
        indexes = sorted(self.counts)
        reached = list(accumulate(self.counts[index] for index in indexes))
        return tuple(_VALUES[indexes[bisect_right(reached, rank - 1)]] for rank in ranks)

    def pack(self) -> bytes:
        """Return the sketch as bytes; those of equal sketches are equal.

        The first byte is the version, 1.  Then there are two numbers for each range that has
        values, in ascending order: how many empty ranges come before it, and how many values it
        has; in seven bits a byte, the lowest first, with the highest bit set in all but the last.
        """
        packed = bytearray([_VERSION])
        behind = 1
        for index in sorted(self.counts):
            for number in (index - behind, self.counts[index]):
                rest = number
                while rest > 0x7F:
                    packed.append(rest & 0x7F | 0x80)
                    rest >>= 7
                packed.append(rest)
            behind = index + 1
        return bytes(packed)

    @classmethod
    def unpack(cls, packed: bytes) -> Sketch:
        """Return the sketch that `pack` gave the bytes of.

        Raises:
            ValueError: No sketch of this version gives these bytes.
        """
        if not packed or packed[0] != _VERSION:
            raise ValueError("no sketch of a known version")
        numbers = _numbers(packed)
        if len(numbers) % 2:
            raise ValueError("a sketch that breaks off")
        counts: dict[int, int] = {}
        index = 0
        for empty, count in zip(numbers[::2], numbers[1::2], strict=True):
            index += empty + 1
            counts[index] = count
        if index > len(_STARTS) or not all(0 < each <= _LARGEST_COUNT for each in counts.values()):
            raise ValueError("a sketch of what cannot be")
        return cls(counts)


def _numbers(packed: bytes) -> list[int]:
    """Return the numbers behind the first byte."""
    numbers: list[int] = []
    number = shift = 0
    for byte in packed[1:]:
        if byte < 0x80:
            if not byte and shift:
                raise ValueError("a number in more bytes than it needs")
            numbers.append(number | byte << shift)
            number = shift = 0
        else:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number without an end")
    if shift:
        raise ValueError("a sketch that breaks off")
    return numbers
