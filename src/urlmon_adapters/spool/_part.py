"""A segment while the spool is open: what of it is not settled, and what a crash left."""

from __future__ import annotations

import logging
import re
from array import array
from contextlib import suppress
from typing import Final

from urlmon_adapters.spool import _settlements
from urlmon_adapters.spool._aside import Aside
from urlmon_adapters.spool._folder import Folder
from urlmon_adapters.spool._records import Gap, Record, Segment

SEGMENT: Final = ".spool"
_NAME: Final = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}")
_log = logging.getLogger("urlmon.spool")


def is_of_spool(name: str, ending: str) -> bool:
    """Say whether the spool gave a file its name, and not a person, who may have left another."""
    return name.endswith(ending) and _NAME.fullmatch(name.removesuffix(ending)) is not None


class Part:
    """A segment, and which of its entries are not settled.

    Attributes:
        name: Its file.
        first: The number of its first entry.
        size: How many bytes of it are whole records.
        counts: The results of each entry; 0 of those that are settled.
        entries: How many entries are not settled.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.first = int(name[:16], 16)
        self.key = bytes.fromhex(name[17:33])
        self.size = 0
        self.counts = array("I")
        self.entries = 0
        self.unwritten: list[tuple[int, int]] = []  # settlements that the disk refused

    @property
    def settlements(self) -> str:
        """The file that says what is settled."""
        return self.name.removesuffix(SEGMENT) + _settlements.ENDING

    @property
    def room(self) -> int:
        """The room that it takes, settlements to come included."""
        return self.size + len(self.counts) * _settlements.SIZE

    @property
    def end(self) -> int:
        """The number after its last entry."""
        return self.first + len(self.counts)

    def pass_over(self, number: int) -> None:
        """Note that nothing up to a number is left to settle."""
        self.counts.extend([0] * (number - self.end))

    def add(self, number: int, count: int) -> None:
        """Note an entry."""
        self.pass_over(number)
        self.counts.append(count)
        self.entries += 1

    def settled(self) -> list[int]:
        """Return the numbers that are settled."""
        return [number for number, count in enumerate(self.counts, self.first) if not count]

    def open_count(self, number: int) -> int:
        """Return how many results of an entry are not settled."""
        at = number - self.first
        return self.counts[at] if 0 <= at < len(self.counts) else 0

    def settle(self, number: int) -> int:
        """Settle an entry; return how many results that are."""
        count = self.open_count(number)
        if count:
            self.counts[number - self.first] = 0
            self.entries -= 1
        return count

    def write_settlements(self, folder: Folder) -> None:
        """Note on the disk what is settled, or keep it for the next time."""
        try:
            _settlements.write(folder, self.settlements, self.unwritten, self.key)
        except OSError as exc:
            _log.warning("what is stored could not be noted, so a restart repeats it: %s", exc)
        else:
            self.unwritten = []


def recover(folder: Folder, name: str, aside: Aside) -> tuple[Part, int]:
    """Find what is intact in a segment; keep aside, once, what is not.

    Returns:
        The segment, and how many places in it are damaged.

    Raises:
        OSError: The disk refuses.
    """
    part = Part(name)
    size = folder.size(name)
    segment = Segment(folder, name, size=size, key=part.key)
    settled = _settlements.read(folder, part.settlements, part.key)
    lost: list[Gap | Record] = []
    gap: Gap | None = None
    expected = part.first
    for found in segment.walk():
        if isinstance(found, Gap):
            gap = None if found.torn else found
            continue
        if gap is not None and not all(map(settled, range(expected, found.number))):
            lost.append(gap)
        gap, part.size = None, found.end
        if found.number >= expected and not settled(found.number):
            if segment.payload(found) is None:
                lost.append(found)
            else:
                part.add(found.number, found.count)
        expected = max(expected, found.number + 1)
    if gap is not None:
        lost.append(gap)
    part.pass_over(expected)
    if _rescued(folder, part, segment, lost, aside) and part.size < size:
        with suppress(OSError):  # then it is cut off another time
            folder.truncate(name, part.size)
    return part, len(lost)


def _rescued(
    folder: Folder, part: Part, segment: Segment, lost: list[Gap | Record], aside: Aside
) -> bool:
    """Keep damaged places aside; say whether that succeeded."""
    try:
        for place in lost:
            size = place.end - place.start
            _log.error("%d bytes of %s cannot be read and are kept aside", size, part.name)
            aside.keep([segment.bytes(place.start, size)])
    except OSError:
        return False  # they stay where they are, and are found again
    if lost:
        part.unwritten += _settlements.runs(part.settled())
        part.write_settlements(folder)
    return True
