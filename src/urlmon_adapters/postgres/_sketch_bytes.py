"""Sketches as the column `sketch` of `check_rollups` has them.

Hours have the number of the range of each response time, in two bytes.  Longer spans have the
number of the lowest range, in two bytes, and how many lie in each range from the highest down to
that one, in four bytes each.  In all of these the highest byte comes first.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from struct import Struct
from typing import Final

from urlmon.domain.sketches import LANE_BITS, Sketch, ranges_of

_HEAD: Final = Struct(">IH")


def ranges(times: Iterable[int]) -> bytes:
    """Return the sketch of an hour that has these response times."""
    numbers = ranges_of(times)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers.tobytes()


def unpack(hours: bytes, spans: bytes) -> Sketch:
    """Return all of some sketches together.

    Args:
        hours: Those of hours, one behind the other.
        spans: Those of longer spans, one behind the other, each after its length in four bytes.

    Raises:
        ValueError: They break off.
    """
    lanes = at = 0
    base = 2**16
    # The lanes of the database are those of the number, so none is looked at.
    while at < len(spans):
        size, lowest = _HEAD.unpack_from(spans, at)
        first, at = at + _HEAD.size, at + 4 + size
        if lowest < base:  # the fewer lanes below the lowest range, the less there is to add
            lanes <<= LANE_BITS * (base - lowest)
            base = lowest
        lanes += int.from_bytes(spans[first:at], "big") << LANE_BITS * (lowest - base)
    if at != len(spans):
        raise ValueError("a sketch that breaks off")
    lanes <<= LANE_BITS * base
    if hours:
        numbers = array("H", hours)
        if sys.byteorder == "little":
            numbers.byteswap()
        lanes += Sketch.of_ranges(numbers).lanes
    return Sketch(lanes)
