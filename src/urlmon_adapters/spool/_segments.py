"""The segments of a spool: what is appended, handed out and settled, as bytes."""

from __future__ import annotations

import logging
import secrets
from bisect import bisect_right
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Final

from attrs import frozen

from urlmon_adapters.spool import _settlements
from urlmon_adapters.spool._aside import Aside
from urlmon_adapters.spool._folder import File, Folder
from urlmon_adapters.spool._part import SEGMENT, Part, is_of_spool, recover
from urlmon_adapters.spool._records import HEADER_SIZE, Gap, Segment, header

_LARGEST_SEGMENT: Final = 64 << 20
_SMALLEST_SEGMENT: Final = 4 << 10
# A segment is let go as a whole: with so many, little room is held by what is settled.
_PARTS: Final = 16

_log = logging.getLogger("urlmon.spool")


@frozen(kw_only=True)
class Raw:
    """An entry as it was read; no payload if it is damaged."""

    number: int
    count: int
    payload: bytes | None


class Segments:
    """The records of a spool, in segments.  Whatever the disk refuses is an `OSError`.

    Attributes:
        entries: How many entries are not settled.
        results: Their results.
        damaged: Places that could not be read.
        limit: The most bytes that all segments may take.
    """

    def __init__(self, folder: Folder, aside: Aside, *, limit: int) -> None:
        self._folder = folder
        self._aside = aside
        self.limit = limit
        self._segment_size = min(_LARGEST_SEGMENT, max(_SMALLEST_SEGMENT, limit // _PARTS))
        self._parts: list[Part] = []
        self._file: File | None = None  # of the last part, while it grows
        self._next = 1
        self._place = ("", 0, 0)  # a segment, a number, and where the entry after that begins
        self.entries = self.results = self.damaged = 0

    @property
    def size_bytes(self) -> int:
        """The room that is taken."""
        return sum(part.room for part in self._parts)

    def open(self) -> None:
        """Find what is intact; keep aside what is not."""
        names = self._folder.names()
        self._parts, self._next = [], 1
        self.entries = self.results = self.damaged = 0
        segments = [name for name in names if is_of_spool(name, SEGMENT)]
        for name in segments:
            part, damaged = recover(self._folder, name, self._aside)
            self.damaged += damaged
            self._next = max(self._next, part.end)
            self._parts.append(part)
            self.entries += part.entries
            self.results += sum(part.counts)
        kept = {part.settlements for part in self._parts}
        for name in names:
            if is_of_spool(name, _settlements.ENDING) and name not in kept:
                self._folder.remove(name)  # of a segment that is gone
        self._let_go(self._parts)

    def append(self, payload: bytes, count: int) -> int | None:
        """Write an entry; return its number once it is safe, or None if there is no room."""
        needed = HEADER_SIZE + len(payload) + _settlements.SIZE
        if self.size_bytes + needed > self.limit:
            self._roll()
            self._let_go(self._parts)
            if self.size_bytes + needed > self.limit:
                return None
        number, self._next = self._next, self._next + 1  # a number that failed is not used again
        part = self._growing(number, needed)
        start = header(payload, number=number, count=count, key=part.key)
        try:
            if self._file is None:
                self._file = self._folder.grow(part.name)
                self._folder.sync()
            self._file.write(start)
            self._file.write(payload)
            self._file.sync()
        except BaseException:
            self._abandon(part)
            raise
        part.size += len(start) + len(payload)
        part.add(number, count)
        self.entries += 1
        self.results += count
        return number

    def read(self, *, after: int, without: Collection[int], limit: int) -> list[Raw]:
        """Return entries that are not settled, as `Spool.read` says."""
        found: list[Raw] = []
        total = 0
        for part in self._parts:
            if not part.entries or part.end <= after + 1:
                continue
            for raw in self._entries(part, max(after + 1, part.first), without):
                total += raw.count
                if found and total > limit:
                    return found
                found.append(raw)
        return found

    def settle(self, numbers: Collection[int]) -> None:
        """Let entries go."""
        firsts = [part.first for part in self._parts]
        touched: dict[int, list[int]] = {}
        for number in sorted(set(numbers)):
            at = bisect_right(firsts, number) - 1
            if at >= 0 and (count := self._parts[at].settle(number)):
                self.entries -= 1
                self.results -= count
                touched.setdefault(at, []).append(number)
        parts = [self._parts[at] for at in touched]
        for part, settled in zip(parts, touched.values(), strict=True):
            part.unwritten += _settlements.runs(settled)
        done = [part for part in self._parts if not part.entries and part is not self._growing_part]
        self._let_go(done)
        for part in parts:
            if part.entries or part is self._growing_part:
                part.write_settlements(self._folder)

    def keep_aside(self, number: int, what: bytes) -> None:
        """Keep an entry aside that cannot be used, and count it."""
        self.damaged += 1
        _log.error("entry %d of the spool cannot be read and is kept aside", number)
        with suppress(OSError):  # nothing better is to be had of it, and it must not hold the rest
            self._aside.keep([what])

    def close(self) -> None:
        """Close what is open, and leave nothing behind where all is settled."""
        self._roll()
        self._let_go(self._parts)

    # Reading

    def _entries(self, part: Part, number: int, without: Collection[int]) -> Iterator[Raw]:
        """Yield what is open from a number on: what is written of it, or that it is damaged."""
        offset, torn = 0, b""
        if self._place[0] == part.name and self._place[1] < number:
            offset = self._place[2]
        segment = Segment(self._folder, part.name, size=part.size, key=part.key)
        for found in segment.walk(offset):
            piece = segment.bytes(found.start, found.end - found.start)
            if isinstance(found, Gap):
                torn = piece
                continue
            if found.number < number:
                continue
            yield from self._missing(part, range(number, found.number), without, torn)
            number, count = found.number + 1, part.open_count(found.number)
            if count and found.number not in without:
                payload = segment.payload(found)
                if payload is None:
                    yield self._damaged(part, found.number, piece)
                else:
                    yield Raw(number=found.number, count=count, payload=payload)
            self._place = (part.name, found.number, found.end)
        yield from self._missing(part, range(number, part.end), without, torn)

    def _missing(
        self, part: Part, numbers: range, without: Collection[int], what: bytes
    ) -> Iterator[Raw]:
        for number in numbers:
            if part.open_count(number) and number not in without:
                yield self._damaged(part, number, what)

    def _damaged(self, part: Part, number: int, what: bytes) -> Raw:
        self.keep_aside(number, what)
        return Raw(number=number, count=part.open_count(number), payload=None)

    # Files

    @property
    def _growing_part(self) -> Part | None:
        return self._parts[-1] if self._file is not None else None

    def _growing(self, number: int, needed: int) -> Part:
        """Return the segment that an entry goes to: a new one where the last is full."""
        part = self._growing_part
        if part is None or part.size + needed > self._segment_size:
            self._roll()
            part = Part(f"{number:016x}-{secrets.token_hex(8)}{SEGMENT}")
            self._parts.append(part)
        return part

    def _roll(self) -> None:
        """Let the last segment grow no more."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _abandon(self, part: Part) -> None:
        """Leave a segment whose end is in doubt; what a failed sync forgot is not synced again."""
        self._roll()
        with suppress(OSError):
            self._folder.truncate(part.name, part.size)
        if not part.counts:
            self._parts.remove(part)
            with suppress(OSError):
                self._folder.remove(part.name)

    def _let_go(self, parts: Collection[Part]) -> None:
        for part in [part for part in parts if not part.entries and part is not self._growing_part]:
            try:
                self._folder.remove(part.name)
                self._folder.remove(part.settlements)
            except OSError:
                continue  # the next time
            self._parts.remove(part)
