"""Finds which results of a batch it is that a store fails over."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from attrs import define, field

from urlmon.domain.check_results import CheckResult
from urlmon.domain.fates import Fate, Refusal
from urlmon.errors import UnavailableError, UrlmonError

# So many results that fail alone, and none that is stored: then it is the store.
_ENOUGH: Final = 3
# Likewise so many that it rejects: those may have been found in one call.
MOST_REJECTED: Final = 20

Record = Callable[[Sequence[CheckResult]], Awaitable[Sequence[Fate]]]


@define
class Findings:
    """What became of the results of a batch, by their place in it.

    Attributes:
        fates: Of those that the store answered for.
        blamed: What the store says of those it fails over, each alone.
        interrupted: Why the search ended before all were found, if it did.
    """

    fates: dict[int, Fate] = field(factory=dict[int, Fate])
    blamed: dict[int, UrlmonError] = field(factory=dict[int, UrlmonError])
    interrupted: UrlmonError | None = None

    @property
    def stored(self) -> bool:
        """Whether the store took any."""
        return any(fate.stored for fate in self.fates.values())

    @property
    def at_fault(self) -> list[int]:
        """The places of those that it rejected or fails over.

        Where it took none at all, these are suspects: it may be the store's own fault.
        """
        rejected = (n for n, fate in self.fates.items() if fate.refusal is Refusal.REJECTED)
        return [*self.blamed, *rejected]

    @property
    def hopeless(self) -> bool:
        """Whether it is the store, so that there is no need to look on."""
        return not self.stored and (
            len(self.blamed) >= _ENOUGH or len(self.at_fault) > MOST_REJECTED
        )


async def isolate(record: Record, results: Sequence[CheckResult], error: UrlmonError) -> Findings:
    """Store what can be stored of a batch that failed, by halves.

    One bad result among n costs about 2 log n calls.  Writes may be repeated, so it does not matter
    what of the failed batch was stored.

    Args:
        record: Stores results.
        results: The batch.
        error: What it failed with: not that the store is unavailable.
    """
    findings = Findings()
    ranges = _halves(0, len(results)) if len(results) > 1 else []
    if not ranges:
        findings.blamed[0] = error
    while ranges and not findings.hopeless:
        start, end = ranges.pop()
        try:
            fates = await record(results[start:end])
        except UnavailableError as exc:
            findings.interrupted = exc
            break
        except UrlmonError as exc:
            if end - start > 1:
                ranges += _halves(start, end)
            else:
                findings.blamed[start] = exc
        else:
            findings.fates |= dict(enumerate(fates, start))
    if findings.at_fault and not findings.stored:
        findings.interrupted = findings.interrupted or error
    return findings


def _halves(start: int, end: int) -> list[tuple[int, int]]:
    """Return two halves in any order: where many are bad, another search begins elsewhere."""
    middle = (start + end) // 2
    halves = [(start, middle), (middle, end)]
    random.shuffle(halves)
    return halves
