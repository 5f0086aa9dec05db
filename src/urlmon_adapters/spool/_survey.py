"""Looks into a spool that another process may hold, and changes nothing."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from attrs import field, frozen

from urlmon.errors import CorruptDataError
from urlmon_adapters.spool import _settlements
from urlmon_adapters.spool._aside import DAMAGED, DEAD, is_kept
from urlmon_adapters.spool._codec import decode
from urlmon_adapters.spool._folder import Folder
from urlmon_adapters.spool._part import SEGMENT, Part, is_of_spool
from urlmon_adapters.spool._records import Record, Segment


@frozen(kw_only=True)
class Survey:
    """What was seen in a spool.

    Attributes:
        results: How many results wait.
        oldest: When the first of them was checked.
        size_bytes: What they take.
        dead_bytes: What dead letters take.
        damaged_bytes: What unreadable places take that were kept aside.
    """

    results: int = 0
    oldest: datetime | None = None
    size_bytes: int = 0
    dead_bytes: int = field(default=0)
    damaged_bytes: int = field(default=0)


def survey(folder: Folder) -> Survey:
    """Look into a folder.

    Raises:
        OSError: It cannot be read.
    """
    results, oldest = 0, None
    sizes = {SEGMENT: 0, DEAD: 0, DAMAGED: 0}
    for name in folder.names():
        with suppress(FileNotFoundError):  # its owner is done with it
            size = folder.size(name)
            if is_kept(name):
                sizes[DEAD if name.startswith(DEAD) else DAMAGED] += size
            elif is_of_spool(name, SEGMENT):
                sizes[SEGMENT] += size
                count, first = _waiting(folder, name, size)
                results, oldest = results + count, oldest or first
    return Survey(
        results=results,
        oldest=oldest,
        size_bytes=sizes[SEGMENT],
        dead_bytes=sizes[DEAD],
        damaged_bytes=sizes[DAMAGED],
    )


def _waiting(folder: Folder, name: str, size: int) -> tuple[int, datetime | None]:
    part = Part(name)
    segment = Segment(folder, name, size=size, key=part.key)
    settled = _settlements.read(folder, part.settlements, part.key)
    count, oldest = 0, None
    for found in segment.walk():
        if isinstance(found, Record) and not settled(found.number):
            count += found.count
            if oldest is None and (payload := segment.payload(found)) is not None:
                with suppress(CorruptDataError):
                    oldest = next(decode(payload))[0].checked_at
    return count, oldest
