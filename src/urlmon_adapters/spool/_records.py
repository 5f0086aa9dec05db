"""The records of a segment: a header with a checksum of its own, then the payload.

A checksum begins with the segment's key, which is random and stands in its name.  So nothing that a
payload holds, and nothing left over from another file, passes for a record.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final
from zlib import crc32

from attrs import frozen

from urlmon_adapters.spool._folder import Folder

# No text in UTF-8 holds the first byte, so a search for it seldom finds a wrong place.
_MAGIC: Final = b"\xffUS1"
# Magic, length of the payload, number, results in it, checksums of the payload and of the header.
_HEADER: Final = struct.Struct(">4sIQIII")
_HEADER_BODY: Final = _HEADER.size - 4
_WINDOW: Final = 1 << 20
HEADER_SIZE: Final = _HEADER.size


@frozen(kw_only=True)
class Record:
    """A record whose header is intact.

    Attributes:
        start: Where the header begins.
        end: Where the next record begins.
        number: The entry's number.
        count: How many results it holds.
        checksum: What the payload's checksum must be.
    """

    start: int
    end: int
    number: int
    count: int
    checksum: int


@frozen(kw_only=True)
class Gap:
    """Bytes that are no record.

    Attributes:
        start: Where they begin.
        end: Where the next record begins, or the segment ends.
        torn: Whether a write that never came to its end explains them.
    """

    start: int
    end: int
    torn: bool


def header(payload: bytes, *, number: int, count: int, key: bytes) -> bytes:
    """Return the header of a payload."""
    seed = crc32(key)
    body = _HEADER.pack(_MAGIC, len(payload), number, count, crc32(payload, seed), 0)
    body = body[:_HEADER_BODY]
    return body + crc32(body, seed).to_bytes(4)


class Segment:
    """Reads a segment piece by piece."""

    def __init__(self, folder: Folder, name: str, *, size: int, key: bytes) -> None:
        """Keep what it needs.

        Args:
            folder: Where it is.
            name: Its file.
            size: How much of it there is to read.
            key: What its checksums begin with.
        """
        self._folder = folder
        self._name = name
        self._size = size
        self._seed = crc32(key)
        self._window, self._window_at = b"", 0

    def walk(self, offset: int = 0) -> Iterator[Record | Gap]:
        """Yield what there is from a record's start on; headers are checked, payloads are not."""
        while offset < self._size:
            found: Record | Gap | None = self._record(offset)
            if found is None or found.end > self._size:
                after = self._next(offset + 1)
                end = self._size if after is None else after.start
                short = found is not None or self._size - offset < HEADER_SIZE
                found = Gap(start=offset, end=end, torn=after is None and short)
            yield found
            offset = found.end

    def payload(self, record: Record) -> bytes | None:
        """Return a record's payload; None if its checksum is wrong."""
        start = record.start + HEADER_SIZE
        payload = self.bytes(start, record.end - start)
        return payload if crc32(payload, self._seed) == record.checksum else None

    def bytes(self, offset: int, size: int) -> bytes:
        """Return bytes of the segment, fewer where it ends."""
        at = offset - self._window_at
        if at < 0 or at + size > len(self._window):
            wanted = max(size, _WINDOW)
            self._window, self._window_at = self._folder.read(self._name, offset, wanted), offset
            at = 0
        return self._window[at : at + size]

    def _record(self, offset: int) -> Record | None:
        found = self.bytes(offset, HEADER_SIZE)
        if len(found) < HEADER_SIZE or not found.startswith(_MAGIC):
            return None
        _, length, number, count, checksum, own = _HEADER.unpack(found)
        if crc32(found[:_HEADER_BODY], self._seed) != own:
            return None
        return Record(
            start=offset,
            end=offset + HEADER_SIZE + length,
            number=number,
            count=count,
            checksum=checksum,
        )

    def _next(self, offset: int) -> Record | None:
        """Look for the next record."""
        while offset < self._size:
            piece = self.bytes(offset, min(_WINDOW, self._size - offset))
            at = piece.find(_MAGIC)
            if at < 0:
                if len(piece) < len(_MAGIC):
                    return None
                offset += len(piece) - len(_MAGIC) + 1
                continue
            found = self._record(offset + at)
            if found is not None and found.end <= self._size:
                return found
            offset += at + 1
        return None
