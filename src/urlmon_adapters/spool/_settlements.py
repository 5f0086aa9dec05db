"""What of a segment is settled: runs of numbers in a file beside it, each with a checksum.

A run that cannot be read is left out: its entries are handed out once more, which is harmless.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Final
from zlib import crc32

from urlmon_adapters.spool._folder import Folder

ENDING: Final = ".settled"
_RUN: Final = struct.Struct(">QQI")
_BODY: Final = _RUN.size - 4
SIZE: Final = _RUN.size


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as runs, each with its first and its last."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return found


def write(folder: Folder, name: str, settled: Iterable[tuple[int, int]], key: bytes) -> None:
    """Add runs to a file.

    Raises:
        OSError: The disk refuses.
    """
    data = b"".join(_packed(first, last, key) for first, last in settled)
    if not data:
        return
    file = folder.grow(name)
    try:
        torn = folder.size(name) % SIZE  # what an earlier write left that never came to its end
        file.write(bytes(SIZE - torn if torn else 0) + data)
    finally:
        file.close()


def _packed(first: int, last: int, key: bytes) -> bytes:
    body = _RUN.pack(first, last, 0)[:_BODY]
    return body + crc32(body, crc32(key)).to_bytes(4)


def read(folder: Folder, name: str, key: bytes) -> Callable[[int], bool]:
    """Return what says whether a number is settled, by a file that need not be there.

    Raises:
        OSError: The disk refuses.
    """
    found: list[tuple[int, int]] = []
    try:
        data = folder.read(name, 0, folder.size(name))
    except FileNotFoundError:
        data = b""
    for at in range(0, len(data) - SIZE + 1, SIZE):
        first, last, own = _RUN.unpack_from(data, at)
        if crc32(data[at : at + _BODY], crc32(key)) == own:
            found.append((first, last))
    return _among(found)


def _among(found: list[tuple[int, int]]) -> Callable[[int], bool]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(found):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    firsts = [first for first, _ in merged]

    def settled(number: int) -> bool:
        at = bisect_right(firsts, number) - 1
        return at >= 0 and number <= merged[at][1]

    return settled
