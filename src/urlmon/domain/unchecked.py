"""Objects of the domain out of values that it has seen before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import AttrsInstance, fields

from urlmon.domain.check_results import CheckResult, Phases

T = TypeVar("T", bound=AttrsInstance)

_PHASES = tuple(each.name for each in fields(Phases))
_ORDERED = (
    "scheduled_at",
    "checked_at",
    "status_code",
    "response_time_us",
    "tls_expires_at",
    "size_bytes",
)


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


def results_of(columns: Mapping[str, Sequence[Any]]) -> list[CheckResult]:
    """Make results, of which the domain sees the extremes only.

    It is shown one that has the least of each number and instant, and one that has the most, for
    each location: whatever lies in between is as good.

    Args:
        columns: The fields of `CheckResult` and of `Phases`, each with one value a result, as many
            of each.  Ids and errors are objects of the domain, and instants have the zone `UTC`.

    Raises:
        InvalidValueError: There is no such result.
        TypeError: The values of a column are of classes that do not go together.
    """
    count = len(columns["location"])
    least: dict[str, Any] = {}
    most: dict[str, Any] = {}
    for name in (*_PHASES, *_ORDERED):
        known = [value for value in columns[name] if value is not None]
        least[name], most[name] = min(known, default=None), max(known, default=None)
    for location in set(columns["location"]):
        for extremes in (least, most):
            CheckResult(
                tenant_id=columns["tenant_id"][0],
                monitor_id=columns["monitor_id"][0],
                location=location,
                phases=Phases(**{name: extremes[name] for name in _PHASES}),
                **{name: extremes[name] for name in _ORDERED},
            )
    phases = unchecked(Phases, count, columns)
    return unchecked(CheckResult, count, {**columns, "phases": phases})
