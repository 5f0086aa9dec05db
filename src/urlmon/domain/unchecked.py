"""Objects of the domain out of values that it has seen before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TypeVar

from attrs import AttrsInstance, fields

T = TypeVar("T", bound=AttrsInstance)


def unchecked(cls: type[T], count: int, columns: Mapping[str, Iterable[object]]) -> list[T]:
    """Make objects of a slotted class, and let nothing convert or validate their values.

    Only for what a store gives back and vouches for: to validate a `CheckResult` takes several
    times as long as all the rest of reading it.

    Args:
        cls: The class.
        count: How many objects.
        columns: The values of each field, in the order of the objects; more than `count` where all
            are the same (`itertools.repeat`).
    """
    found = [cls.__new__(cls) for _ in range(count)]
    for each in fields(cls):
        # Field by field, as that needs no loop in Python.
        deque(map(getattr(cls, each.name).__set__, found, columns[each.name]), maxlen=0)
    return found
