"""Copies check results from one store to another, to fill a gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import frozen

from urlmon.domain.check_results import CheckResult
from urlmon.domain.fates import Fate
from urlmon.domain.periods import Period
from urlmon.ports import CheckResultArchive, CheckResultStore


@frozen(kw_only=True)
class CopyProgress:
    """How far a copy has come.

    Attributes:
        reached: Up to which `scheduled_at` everything is copied.
        read: How many results were read.
        new: How many the target did not have.
        known: How many it had.
        stored: How many it stored or had, where it cannot tell.
        refused: How many it refused, by reason.
    """

    reached: datetime
    read: int = 0
    new: int = 0
    known: int = 0
    stored: int = 0
    refused: Counter[str]


async def copy_results(
    source: CheckResultArchive,
    target: CheckResultStore,
    period: Period,
    *,
    on_progress: Callable[[CopyProgress], object],
) -> CopyProgress:
    """Record in the target what the source has in a period, oldest first.

    It may be made again, as a whole or from where it came to: the target keeps each result once.
    What is recorded in the source meanwhile is copied where it is due later than what was copied.

    Args:
        source: Where results are read.
        target: Where they are recorded.
        period: Which results, by `scheduled_at`.
        on_progress: Told after each page.

    Raises:
        CorruptDataError: The source holds what this version does not write.
        StoreError: A store failed.  What `on_progress` was told of last is copied.
    """
    progress = CopyProgress(reached=period.since, refused=Counter())
    cursor: str | None = None
    while True:
        page = await source.scan(period=period, cursor=cursor)
        fates = await target.record(page.items) if page.items else ()
        cursor = page.next_cursor
        reached = period.until if cursor is None else page.items[-1].scheduled_at
        progress = _after(progress, page.items, fates, reached)
        on_progress(progress)
        if cursor is None:
            return progress


def _after(
    before: CopyProgress, results: Sequence[CheckResult], fates: Sequence[Fate], reached: datetime
) -> CopyProgress:
    refused = (f"{each.refusal} {each.reason}".rstrip() for each in fates if each.refusal)
    known = Counter(each.known for each in fates if each.stored)
    return CopyProgress(
        reached=reached,
        read=before.read + len(results),
        new=before.new + known[False],
        known=before.known + known[True],
        stored=before.stored + known[None],
        refused=before.refused + Counter(refused),
    )
