"""Quantile sketches: how many whole microseconds lie in each of some narrow ranges.

This is DDSketch (Charles Masson, Jee E. Rim, Homin K. Lee: "DDSketch: a fast and fully-mergeable
quantile sketch with relative-error guarantees", PVLDB 12, 2019): logarithmic ranges, each with one
value that stands for all of it, within 1 % of each of them.  So counts, and with them ranks, are
exact and can be added up in any order; only the value that is at a rank is known to 1 %.

The edges of the ranges are whole numbers, reckoned in whole numbers, so that every machine has the
same.  Below 100 microseconds a range is a single value.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import accumulate
from typing import Self

from attrs import frozen

LARGEST_US = 3_600_000_000
RELATIVE_ERROR = 0.01
"""How far a percentile from a sketch can be from the exact one, as a share of the exact one."""
LARGEST_COUNT = 2**32 - 1
"""How many values a sketch holds: at one a second, those of 136 years."""
LANE_BITS = 32
_VERSION = 1
_HEAD = struct.Struct("<BH")


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


def ranges_of(values: Iterable[int]) -> array[int]:
    """Return the number of the range of each value, from 0 to 3,600,000,000 each."""
    return array("H", map(_RANGE_OF, values))


@frozen(repr=False)
class Sketch:
    """A distribution of whole microseconds from 0 to one hour, to be added up with others.

    Two sketches of the same values are equal, however they came to be.

    Attributes:
        lanes: How many values lie in each range, as one whole number: the count of range n is in
            the 32 bits from bit 32 n on.  So sketches are added up as numbers are, which is many
            times as fast as range by range.
    """

    lanes: int = 0

    @classmethod
    def of(cls, values: Iterable[int]) -> Self:
        """Make the sketch of some values, each from 0 to 3,600,000,000."""
        return cls.of_ranges(map(_RANGE_OF, values))

    @classmethod
    def of_ranges(cls, ranges: Iterable[int]) -> Self:
        """Make the sketch of values of which the ranges are known (`ranges_of`)."""
        return cls.of_counts(Counter(ranges))

    @classmethod
    def of_counts(cls, counts: Mapping[int, int]) -> Self:
        """Make the sketch with so many values in each range, by its number."""
        if not counts:
            return cls()
        lowest = min(counts)
        lanes = [0] * (max(counts) - lowest + 1)
        for number, count in counts.items():
            lanes[number - lowest] = count
        packed = struct.pack(f"<{len(lanes)}I", *lanes)
        return cls(int.from_bytes(packed, "little") << LANE_BITS * lowest)

    @classmethod
    def merged(cls, sketches: Iterable[Sketch]) -> Self:
        """Make the sketch of the values of all of some sketches, up to `LARGEST_COUNT` together."""
        return cls(sum(sketch.lanes for sketch in sketches))

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self._counts()[1])

    @property
    def counts(self) -> dict[int, int]:
        """How many values lie in each of the ranges that have some, by its number, in order."""
        lowest, counts = self._counts()
        return {number: count for number, count in enumerate(counts, lowest) if count}

    def at_ranks(self, ranks: Iterable[int]) -> tuple[int, ...]:
        """Return about which value is at each of some ranks, of the values in ascending order.

        Each is within `RELATIVE_ERROR` of the value that is there.

        Args:
            ranks: Each from 1, for the smallest value, to `count`, for the largest.
        """
        lowest, counts = self._counts()
        reached = list(accumulate(counts))
        return tuple(_VALUES[lowest + bisect_right(reached, rank - 1)] for rank in ranks)

    def pack(self) -> bytes:
        """Return the sketch as bytes, from which it is read back in a few microseconds.

        The first byte is the version, 1.  The next two, the lower one first, are the number of the
        lowest range that has values, and the rest is how many that and each range above it has, in
        four bytes each, the lowest first, compressed (RFC 1950, and so with a checksum).
        """
        lowest, counts = self._counts()
        return _HEAD.pack(_VERSION, lowest) + zlib.compress(
            struct.pack(f"<{len(counts)}I", *counts), 1
        )

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return the sketch that `pack` gave the bytes of.

        Raises:
            ValueError: No sketch of this version gives these bytes.
        """
        if len(packed) < _HEAD.size or packed[0] != _VERSION:
            raise ValueError("no sketch of a known version")
        _, lowest = _HEAD.unpack_from(packed)
        try:
            counts = zlib.decompress(packed[_HEAD.size :])
        except zlib.error as exc:
            raise ValueError("a sketch that is damaged") from exc
        if lowest + len(counts) // 4 > len(_STARTS) + 1:
            raise ValueError("a sketch of what cannot be")
        return cls(int.from_bytes(counts, "little") << LANE_BITS * lowest)

    def _counts(self) -> tuple[int, tuple[int, ...]]:
        """Return the number of the first range that has values, and how many it and each has."""
        lowest = max((self.lanes & -self.lanes).bit_length() - 1, 0) // LANE_BITS
        lanes = self.lanes >> LANE_BITS * lowest
        size = -(-lanes.bit_length() // LANE_BITS)
        return lowest, struct.unpack(f"<{size}I", lanes.to_bytes(4 * size, "little"))

    def __repr__(self) -> str:
        return f"Sketch.of_counts({self.counts})"
