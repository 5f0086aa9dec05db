"""Sketches as the column `sketch` of `check_rollups` has them.

For each range its number in two bytes and its count in four, the highest byte first.  Unlike the
bytes of `Sketch.pack`, those of two sketches, one behind the other, are those of their sum.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from urlmon.domain.sketches import Sketch

_ENTRY: Final = Struct(">HI")


def pack(sketch: Sketch) -> bytes:
    """Return the bytes of a sketch."""
    return b"".join(_ENTRY.pack(*entry) for entry in sketch.counts.items())


def unpack(packed: bytes) -> Sketch:
    """Return the sketch that bytes are of.

    Raises:
        ValueError: They break off.
    """
    if len(packed) % _ENTRY.size:
        raise ValueError("a sketch that breaks off")
    counts: dict[int, int] = {}
    for index, count in _ENTRY.iter_unpack(packed):
        counts[index] = counts.get(index, 0) + count
    return Sketch(counts)
