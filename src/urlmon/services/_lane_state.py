"""What a lane of the writer holds and has done: the one place where results change hands."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final
from weakref import ref

from urlmon.domain.check_results import CheckResult
from urlmon.domain.ids import TenantId
from urlmon.domain.spool import Spooled
from urlmon.ports import Spool
from urlmon.services._breaker import Breaker
from urlmon.services._parcels import Bell, Entry, Pace, Parcel, ParcelQueue, Timing
from urlmon.services.receipts import FATES, Account, Tally, Track

_BETWEEN_DROP_LOGS: Final = 60.0
_FEW_OWNERS: Final = 1_000

_log = logging.getLogger("urlmon.writer")


class Flight:
    """A batch on its way.

    Attributes:
        parcels: What it holds.
        started: When it was sent.
        secured: Whether all of it is in the spool, or on its way there.
        done: Whether its fate is known.
    """

    __slots__ = ("done", "parcels", "secured", "started")

    def __init__(self, parcels: Sequence[Parcel], started: float) -> None:
        self.parcels = parcels
        self.started = started
        self.secured = all(parcel.entry is not None for parcel in parcels)
        self.done = False

    def __len__(self) -> int:
        return sum(map(len, self.parcels))


class LaneState:
    """Everything that waits for one store, and what became of the rest.

    A result is in one of these places: `fresh` (to be spooled before it is sent), `queue`,
    `in_hand` (being spooled), `flights`, or the backlog: entries of the spool that are not in
    memory.  Entries that are in memory as well are `live`.
    """

    def __init__(self, name: str, spool: Spool, pace: Pace, timing: Timing) -> None:
        self.name = name
        self.spool = spool
        self.pace = pace
        self.timing = timing
        self.breaker = Breaker()
        self.fresh = ParcelQueue()
        self.queue = ParcelQueue()
        self.in_hand = ParcelQueue()
        self.flights: set[Flight] = set()
        self.live: dict[int, Entry] = {}
        self.backlog = 0
        self.cursor = 0  # no entry up to here is in the backlog
        self.reading = asyncio.Lock()  # an entry is taken out of the backlog once
        self.settled: list[int] = []  # entries that the spool may forget
        self.sender_bell = Bell(timing)
        self.keeper_bell = Bell(timing)
        self.troubles: dict[str, str] = {}  # of the spool, by what it could not do
        self.closing = False
        self.room: dict[asyncio.Future[None], None] = {}  # in the order of their coming
        self._owners: dict[int, list[tuple[int, ref[Track] | None, int]]] = {}
        self._most_owners = _FEW_OWNERS
        self._submitted = self._recovered = 0
        self._counts: dict[str, int] = dict.fromkeys(FATES, 0)
        self._dropped: Counter[TenantId] = Counter()
        self._log_drops_at = timing.monotonic()

    # Room in memory

    @property
    def memory(self) -> int:
        """Roughly the bytes that what waits in memory takes."""
        return self.fresh.size + self.queue.size + self.in_hand.size

    def has_room(self, size: int) -> bool:
        """Say whether something may come in; a single thing always may."""
        memory = self.memory
        return not memory or memory + size <= self.pace.memory_bytes

    def make_room(self) -> None:
        """Let those who wait for room look again."""
        for future in self.room:
            if not future.done():
                future.set_result(None)

    # Coming and going

    def recovered(self, results: int) -> None:
        """Count what a spool held at the start."""
        self._submitted += results
        self._recovered += results
        self.backlog += results

    def submitted(self, results: int) -> None:
        """Count what comes in."""
        self._submitted += results

    def settle(self, parcel: Parcel, results: Sequence[CheckResult], fate: str) -> None:
        """Note the fate of some results of a parcel."""
        if fate == "dropped":
            self._note_drops(results)
        self._count(parcel.track, parcel.entry, len(results), fate)

    def _count(self, track: Track | None, entry: Entry | None, count: int, fate: str) -> None:
        self._counts[fate] += count
        if track is not None:
            track.settle(fate, count)
        if entry is not None:
            self.leave(entry, count)

    def leave(self, entry: Entry, count: int) -> None:
        """Note that an entry needs to keep some results no longer."""
        entry.left -= count
        if not entry.left:
            self.settled.append(entry.number)  # and live, so that nobody reads it any more
            self.keeper_bell.ring()

    def forgotten(self, numbers: Iterable[int]) -> None:
        """Note that the spool has settled entries."""
        for number in numbers:
            del self.live[number]

    def discard(self, number: int) -> None:
        """Have the spool settle an entry that is not needed after all."""
        self.live[number] = Entry(number, 0)
        self.settled.append(number)

    def _note_drops(self, results: Iterable[CheckResult]) -> None:
        self._dropped.update(result.tenant_id for result in results)
        now = self.timing.monotonic()
        if now >= self._log_drops_at:
            self._log_drops_at = now + _BETWEEN_DROP_LOGS
            _log.error("results for %s are dropped: there is no room left", self.name)

    # Between memory and spool

    def spooled(self, parcels: Iterable[Parcel], number: int) -> None:
        """Note that parcels are one entry of the spool now, in their order."""
        parcels = list(parcels)
        entry = self.live[number] = Entry(number, sum(map(len, parcels)))
        at = 0
        for parcel in parcels:
            if parcel.entry is not None:
                self.leave(parcel.entry, len(parcel))
            parcel.entry, parcel.at = entry, at
            at += len(parcel)
            if parcel.track is not None:
                parcel.track.keep()

    def shelve(self, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Leave to the spool what it has; return the rest.

        An entry is left to it as a whole or not at all: it comes back as a whole.
        """
        found: dict[int, list[Parcel]] = defaultdict(list)
        for parcel in parcels:
            if parcel.entry is not None:
                found[parcel.entry.number].append(parcel)
        for number, some in found.items():
            entry = self.live[number]
            if sum(map(len, some)) != entry.count:
                continue
            del self.live[number]
            self.backlog += entry.count
            self.cursor = min(self.cursor, number - 1)
            if any(each.track is not None for each in some):
                self._owners[number] = [
                    (each.at, None if each.track is None else ref(each.track), len(each))
                    for each in sorted(some, key=lambda each: each.at)
                ]
        self._forget_owners()
        return [
            parcel for parcel in parcels if parcel.entry is None or parcel.entry.number in self.live
        ]

    def _forget_owners(self) -> None:
        """Forget those whose receipt nobody holds, now and then."""
        if len(self._owners) > self._most_owners:
            self._owners = {
                number: owners
                for number, owners in self._owners.items()
                if any(track is not None and track() is not None for _, track, _ in owners)
            }
            self._most_owners = 2 * len(self._owners) + _FEW_OWNERS

    def fetched(self, entries: Sequence[Spooled]) -> list[Parcel]:
        """Take what was just read out of the backlog; of a damaged entry nothing comes."""
        self.cursor = entries[-1].number if entries else 0
        # One that was put in while the others were read can be in memory.
        return [
            parcel
            for entry in entries
            if entry.number not in self.live
            for parcel in self._parcels(entry)
        ]

    def _parcels(self, spooled: Spooled) -> list[Parcel]:
        entry = self.live[spooled.number] = Entry(spooled.number, spooled.count)
        self.backlog -= spooled.count
        now = self.timing.monotonic()
        parcels: list[Parcel] = []
        for at, owner, count in self._owners.pop(spooled.number, [(0, None, spooled.count)]):
            track = None if owner is None else owner()
            if spooled.damaged:
                self._count(track, entry, count, "dead")
            else:
                results = spooled.results[at : at + count]
                parcels.append(Parcel(results, since=now, track=track, entry=entry, at=at))
        return parcels

    # Telling

    def account(self) -> Account:
        """Return how things stand."""
        return Account(
            submitted=self._submitted,
            recovered=self._recovered,
            tally=Tally(**self._counts),
            in_memory=self.fresh.results + self.queue.results + self.in_hand.results,
            in_flight=sum(map(len, self.flights)),
            spooled=self.backlog,
            dropped_by_tenant=dict(self._dropped),
            problem=self.breaker.problem or next(iter(self.troubles.values()), None),
            spool=self.spool.status(),
        )


def flat(parcels: Iterable[Parcel]) -> list[CheckResult]:
    """Return the results of parcels, one after the other."""
    return list(chain.from_iterable(parcel.results for parcel in parcels))
