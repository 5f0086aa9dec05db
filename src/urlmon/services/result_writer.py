"""Writes check results to stores so that none is lost while a store is down or slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Self

from urlmon.domain.check_results import CheckResult, check_batch
from urlmon.errors import InvalidValueError, UnavailableError
from urlmon.ports import CheckResultStore, Spool
from urlmon.services._keeper import WhenFull
from urlmon.services._lane import Lane
from urlmon.services._parcels import Pace, Timing
from urlmon.services.receipts import Account, Ending, Receipt, Tally

__all__ = ["Account", "Pace", "Receipt", "ResultWriter", "Tally", "Timing", "WhenFull"]

_GRACE = timedelta(seconds=5)
_OPERATION = "ResultWriter.submit"


class ResultWriter:
    """Takes results at once, and brings each to every store, or says what became of it.

    Each store has a lane and a spool of its own, so that one that is down does not hold another.
    A lane sends what comes in, in batches, at most two at a time.  What it cannot send in time goes
    to its spool, from where it is sent again, also by the next process: live results first, then
    what waits, oldest first and not faster than `Pace.drain_rate`.

    A receipt has three levels.  *Accepted*: `submit` has returned; the results are in memory, which
    is bounded.  *Durable*: `Receipt.durable`; they are on the disk, synced, or have their fate.
    *Stored*: `Receipt.stored`; they have their fate in every store.

    What a kill -9 or a power cut can lose:

    - Memory first: what is accepted and not durable: what came in during the last
      `Pace.spill_after` (a second) and has not been stored.  Nothing of it where the process ends
      in good order.
    - Write-through: nothing that `submit` returned for.  Every result is on the disk before it is
      sent; `submit` takes as long as a sync of the disk.

    While a store fails (`UnavailableError`) nothing is sent to it; after a random time that doubles
    up to 30 seconds, or as long as it asked for (`retry_after`), one small batch is, and the others
    follow when that is stored.  This has no end: results wait until the spool is full, and then
    `when_full` says what happens.

    A store that fails over the content of a batch (any other error of urlmon) has it sent again by
    halves, until those results are found that it fails over alone.  They are put aside as dead
    letters, with the reason, as are those that it rejects; the rest is stored.  Those that are too
    old for it, or too far ahead, are refused and counted.  Where the store takes none of a batch it
    is not the results' fault: all wait, and `Account.problem` says why.  Of a few that wait so, one
    is put aside when it has failed three times and others were stored in between.

    A result may be sent twice, after a lost reply or a crash; stores take it once.
    """

    def __init__(
        self,
        stores: Mapping[str, CheckResultStore],
        spools: Mapping[str, Spool],
        timing: Timing,
        *,
        pace: Pace | None = None,
        when_full: WhenFull = WhenFull.BLOCK,
        write_through: bool = False,
        grace: timedelta = _GRACE,
    ) -> None:
        """Keep what it needs; nothing is opened yet.

        Args:
            stores: Where every result goes, each by its name.
            spools: Where results for a store wait, by the same names.
            timing: The time to wait by.
            pace: How fast it works and how much it holds.
            when_full: What happens where a spool leaves no room.
            write_through: Whether results are on the disk before `submit` returns.
            grace: How long the end waits for stores.
        """
        if not stores or stores.keys() != spools.keys():
            raise InvalidValueError("spools", "must have one for each of at least one store")
        self._timing = timing
        self._write_through = write_through
        self._grace = grace
        self._ending = Ending()
        self._ending.over = True  # until it runs
        self._lanes = {
            name: Lane(
                name,
                store,
                spools[name],
                pace=pace or Pace(),
                timing=timing,
                when_full=when_full,
                write_through=write_through,
            )
            for name, store in stores.items()
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Take results while a block runs.  Once only.

        The end waits for the stores, up to the grace time and not for one that is down, and leaves
        the rest to the spools, synced.  What a spool then has no room for is dropped, counted and
        logged.

        Raises:
            ConfigurationError: A spool cannot be used.
            UnavailableError: Another process holds a spool.
        """
        opened: list[Lane] = []
        try:
            for lane in self._lanes.values():
                await lane.open()
                opened.append(lane)
            self._ending.over = False
            yield self
        finally:
            self._ending.over = True
            deadline = self._timing.monotonic() + self._grace.total_seconds()
            closed = await asyncio.gather(
                *(lane.close(deadline) for lane in opened), return_exceptions=True
            )
            self._ending.end()
            for failure in closed:
                if failure is not None:
                    raise failure

    async def submit(self, results: Sequence[CheckResult]) -> Receipt:
        """Take up to 5,000 results of any tenants and monitors.

        It waits where memory is full, and in write-through until the results are on the disk.  A
        call that is cancelled may have submitted them.

        Returns:
            What to wait for; it need not be kept.

        Raises:
            InvalidValueError: There are more than 5,000, or one is no `CheckResult`.
            UnavailableError: There was no room for some store, and the policy is to refuse; or the
                writer is not running.  Submit them again later: what was taken is not stored twice.
        """
        batch = check_batch(results)
        if self._ending.over:
            raise UnavailableError("spool", _OPERATION, "the writer is not running")
        receipt = Receipt(self._ending)
        if not batch:
            return receipt
        tracks = {name: lane.take(batch, receipt) for name, lane in self._lanes.items()}
        for name, track in tracks.items():
            if track is None:
                tracks[name] = await self._lanes[name].take_later(batch, receipt)
        refused = [name for name, track in tracks.items() if track is not None and track.lost]
        if refused:
            detail = f"there is no room for results for {', '.join(refused)}"
            raise UnavailableError("spool", _OPERATION, detail)
        if self._write_through:
            await receipt.durable()
        return receipt

    def account(self) -> Mapping[str, Account]:
        """Return how things stand, by the store's name; exact at any moment."""
        return {name: lane.account() for name, lane in self._lanes.items()}
