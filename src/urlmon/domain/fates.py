"""What becomes of the results of a batch in a store, and which of several of one identity stands.

A failure outranks a success of the same identity, and among equals either may stand: a store that
reads before it writes keeps the first, one that only writes keeps the last.  Never is what stands a
mixture of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from attrs import field, frozen

from urlmon.domain._validators import kind_of, optional, text
from urlmon.domain.check_results import CheckResult, Identity, Key, key_of
from urlmon.errors import InvalidValueError

CLOCK_TOLERANCE = timedelta(minutes=5)
LONGEST_REASON = 500


class Refusal(StrEnum):
    """Why a store does not keep a result."""

    EXPIRED = "expired"
    """Due longer ago than the store keeps results."""
    FUTURE = "future"
    """Due more than five minutes ahead of the clock."""
    REJECTED = "rejected"
    """The store itself would not take it, and never will; `Fate.reason` says what it said."""


@frozen(kw_only=True)
class Fate:
    """What became of one result of a batch.

    Attributes:
        refusal: Why it was not stored; None if it is stored, now or by an earlier call.
        known: Whether its identity was there before: False for a new one, True for one that an
            earlier call or an earlier result of the same batch had stored, also when this one, a
            failure, now stands in the place of that success.  None where it was refused, or this
            store cannot tell.
        reason: Of one that was rejected, what the store said, at most 500 characters and without a
            secret; else empty.
    """

    refusal: Refusal | None = field(default=None, validator=optional(kind_of(Refusal)))
    known: bool | None = field(default=None, validator=optional(kind_of(bool)))
    reason: str = field(default="", validator=text(LONGEST_REASON, shortest=0))

    def __attrs_post_init__(self) -> None:
        if self.refusal is not None and self.known is not None:
            raise InvalidValueError("known", "must be None where the result was refused")
        if self.reason and self.refusal is not Refusal.REJECTED:
            raise InvalidValueError("reason", "must be empty unless the result was rejected")

    @property
    def stored(self) -> bool:
        """Whether the store has the result."""
        return self.refusal is None


STORED = Fate()
"""Stored, by a store that cannot tell whether it was there before."""
NEW = Fate(known=False)
ALREADY_THERE = Fate(known=True)
EXPIRED = Fate(refusal=Refusal.EXPIRED)
FUTURE = Fate(refusal=Refusal.FUTURE)


def rejected(reason: str) -> Fate:
    """Return the fate of a result that the store itself would not take."""
    printable = reason.encode("utf-8", "replace").decode().replace("\x00", "")
    return Fate(refusal=Refusal.REJECTED, reason=printable[:LONGEST_REASON])


def fate_at(scheduled_at: datetime, *, now: datetime, retention: timedelta) -> Fate:
    """Decide whether a store keeps a result that was due at `scheduled_at`.

    One that is exactly as old as the retention is kept, as is one exactly five minutes ahead.
    """
    if scheduled_at < now - retention:
        return EXPIRED
    if scheduled_at > now + CLOCK_TOLERANCE:
        return FUTURE
    return STORED


def outranks(new: CheckResult, old: CheckResult) -> bool:
    """Say whether `new` replaces `old` of the same identity: a failure outranks a success."""
    return old.success and not new.success


def strongest(results: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """Return one result of each identity: the first, unless a later one outranks it."""
    kept: dict[Identity, CheckResult] = {}
    for result in results:
        if outranks(result, kept.setdefault(result.identity, result)):
            kept[result.identity] = result
    return tuple(kept.values())


def judge_batch(
    batch: Iterable[CheckResult],
    kept: dict[Key, CheckResult],
    *,
    now: datetime,
    retention: timedelta,
) -> Iterator[Fate]:
    """Yield the fate of each result of a batch by its time, and put into `kept` what to store.

    That is the strongest of each identity.  What the store then made of it goes into the fates by
    `settle`.
    """
    for result in batch:
        fate = fate_at(result.scheduled_at, now=now, retention=retention)
        if fate.stored:
            key = key_of(result)
            if outranks(result, kept.setdefault(key, result)):
                kept[key] = result
        yield fate


def settle(
    batch: Iterable[CheckResult], fates: Iterable[Fate], found: Mapping[Key, Fate]
) -> Iterator[Fate]:
    """Yield the final fate of each result of a batch.

    Args:
        batch: The batch.
        fates: What `judge_batch` said.
        found: What the store made of identities; those that are not in it are `STORED`.

    Of several results of one identity the first has the fate of the identity, and the others were
    already there by then, unless it was rejected.
    """
    known = dict(found)
    for result, judged in zip(batch, fates, strict=True):
        fate = judged
        if judged.stored:
            key = key_of(result)
            fate = known.get(key, STORED)
            if fate.stored:
                known[key] = ALREADY_THERE  # the next of this identity finds the first
        yield fate
