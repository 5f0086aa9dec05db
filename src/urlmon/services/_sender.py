"""The half of a lane that sends: live results first, then what waits in the spool."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Final

from urlmon.domain.check_results import MAX_BATCH, CheckResult, Identity
from urlmon.domain.fates import Fate, Refusal
from urlmon.errors import StoreError, UnavailableError, UrlmonError
from urlmon.ports import CheckResultStore
from urlmon.services._isolation import MOST_REJECTED, Findings, isolate
from urlmon.services._lane_state import Flight, LaneState, flat
from urlmon.services._parcels import Parcel
from urlmon.services.gently import let_go

_IN_FLIGHT: Final = 2
_PROBE: Final = 100
_RETRY: Final = 1.0
_PROOF: Final = 3
_OPERATION: Final = "CheckResultStore.record"
_MOST_SUSPECTS: Final = 1_000
# Too old or too far ahead: the store does its duty.  For any other reason a person has to look.
_REFUSED: Final = {Refusal.EXPIRED, Refusal.FUTURE}

_log = logging.getLogger("urlmon.writer")


class Sender:
    """Sends batches, two at a time; one small one at a time while the store is in doubt."""

    def __init__(self, state: LaneState, store: CheckResultStore) -> None:
        self._state = state
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._drain_at = 0.0
        self._answers = 0  # how often the store took something
        self._suspects: dict[Identity, tuple[int, int]] = {}  # the answers then, and how often
        self._lone = False  # whether what failed last was too little to tell whose fault it is

    async def run(self) -> None:
        """Work until it is cancelled."""
        while True:
            if not self._start():
                await self._state.sender_bell.wait(self._moment())

    async def stop(self) -> None:
        """Break off what is under way; it waits again."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    async def landed(self, deadline: float) -> None:
        """Return once something that is under way has landed, or at a moment."""
        if not self._tasks:
            await asyncio.sleep(0)  # something is about to be sent
            return
        timer = asyncio.ensure_future(self._state.timing.sleep_until(deadline))
        try:
            await asyncio.wait([*self._tasks, timer], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            await asyncio.gather(timer, return_exceptions=True)

    # What to send

    def _start(self) -> bool:
        """Begin to send one batch, if there is one and it is time."""
        state, now = self._state, self._state.timing.monotonic()
        rows = state.pace.rows
        if len(self._tasks) >= _IN_FLIGHT:
            return False
        probing = not state.breaker.closed
        if probing:
            if now < state.breaker.retry_at or self._tasks:
                return False
            rows = min(rows, _PROBE)
        if self._is_ready(now) or (probing and state.queue.results):
            self._fly(state.queue.take(rows))
            return True
        if state.backlog and not self._draining and not state.closing:
            if now < self._drain_at:
                return False
            self._draining = True
            self._spawn(self._drain(rows))
            return True
        return False

    def _is_ready(self, now: float) -> bool:
        """Say whether a batch is full, or waited for long enough."""
        queue, pace = self._state.queue, self._state.pace
        if queue.oldest is None:
            return False
        return (
            self._state.closing
            or queue.results >= pace.rows
            or now >= queue.oldest + pace.linger.total_seconds()
        )

    def _moment(self) -> float | None:
        """Return when there may be something to send, if nothing happens before."""
        state = self._state
        if not state.breaker.closed:
            waits = state.queue.results or state.backlog
            return None if self._tasks or not waits else state.breaker.retry_at
        if len(self._tasks) >= _IN_FLIGHT:
            return None
        moments = list[float]()
        if state.queue.oldest is not None:
            moments.append(state.queue.oldest + state.pace.linger.total_seconds())
        if state.backlog and not self._draining and not state.closing:
            moments.append(self._drain_at)
        return min(moments, default=None)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._state.sender_bell.ring()
        self._state.keeper_bell.ring()
        self._state.make_room()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("sending to %s failed", self._state.name, exc_info=error)

    def _fly(self, parcels: Sequence[Parcel]) -> None:
        flight = Flight(parcels, self._state.timing.monotonic())
        self._state.flights.add(flight)
        self._state.keeper_bell.ring()
        self._spawn(self._send(flight))

    async def _drain(self, rows: int) -> None:
        """Send what waits in the spool, oldest first."""
        state = self._state
        self._drain_at = state.timing.monotonic() + _RETRY  # where it fails, in whatever way
        try:
            async with state.reading:
                found = await state.spool.read(
                    after=state.cursor,
                    without=set(state.live),
                    limit=MAX_BATCH if self._lone else rows,  # with company it can be proven
                )
                parcels = state.fetched(found)
            state.troubles.pop("read", None)
            now = state.timing.monotonic()
            count = sum(map(len, parcels))
            self._drain_at = now + (count / state.pace.drain_rate if found else _RETRY)
            del found  # the parcels alone hold the results now
            if parcels:
                flight = Flight(parcels, now)
                state.flights.add(flight)
                await self._send(flight)
        except UnavailableError as exc:
            state.troubles["read"] = exc.detail
        finally:
            self._draining = False

    # Sending

    async def _send(self, flight: Flight) -> None:
        results = flat(flight.parcels)
        findings = Findings()  # where it is broken off, all of it waits again
        try:
            try:
                findings = await self._buried(await self._recorded(results), results)
            finally:
                self._land(flight, findings)
        except Exception as exc:  # noqa: BLE001 - a driver's own: nothing is lost over it
            _log.exception("%s failed in a way that it should not", self._state.name)
            self._failed(f"it failed with {type(exc).__name__}")
        await let_go(results)

    async def _recorded(self, results: Sequence[CheckResult]) -> Findings:
        """Have a batch stored, part by part where the store fails over some of it."""
        try:
            fates = await self._record(results)
            findings = Findings(fates=dict(enumerate(fates)))
        except UnavailableError as exc:
            findings = Findings(interrupted=exc)
        except UrlmonError as exc:
            findings = await isolate(self._record, results, exc)
        if findings.stored:
            self._lone = False
        else:
            self._spare(findings, results)
        if findings.interrupted is not None:
            after: timedelta | None = getattr(findings.interrupted, "retry_after", None)
            self._failed(str(findings.interrupted), retry_after=after)
        elif not self._state.breaker.closed:
            _log.info("%s takes results again", self._state.name)
            self._state.breaker.succeeded()
        return findings

    async def _record(self, results: Sequence[CheckResult]) -> tuple[Fate, ...]:
        fates = await self._store.record(results)
        if len(fates) != len(results):
            raise RuntimeError("a store must tell the fate of each result")
        self._answers += any(fate.stored for fate in fates)
        return fates

    def _spare(self, findings: Findings, results: Sequence[CheckResult]) -> None:
        """Let those at fault wait where none is stored: many at any rate, a few until proven."""
        places = findings.at_fault
        self._lone = 0 < len(places) == len(results)
        if places and findings.interrupted is None:
            detail = f"it rejects all that it is sent: {findings.fates[places[0]].reason}"
            findings.interrupted = StoreError(self._state.name, _OPERATION, detail)
        for place in places:
            if len(places) > MOST_REJECTED or not self._is_proven(results[place]):
                findings.blamed.pop(place, None)
                findings.fates.pop(place, None)

    def _is_proven(self, suspect: CheckResult) -> bool:
        """Say whether a result is bad: it failed thrice, and others were stored in between."""
        answers, times = self._suspects.get(suspect.identity, (-1, 0))
        if self._answers > answers:
            times += 1
        if times == _PROOF or len(self._suspects) > _MOST_SUSPECTS:
            self._suspects.clear()
        self._suspects[suspect.identity] = self._answers, times
        return times >= _PROOF

    def _failed(self, problem: str, *, retry_after: timedelta | None = None) -> None:
        breaker = self._state.breaker
        if breaker.closed:
            _log.warning("%s takes no results, which wait now: %s", self._state.name, problem)
        breaker.failed(self._state.timing.monotonic(), problem, retry_after=retry_after)

    async def _buried(self, findings: Findings, results: Sequence[CheckResult]) -> Findings:
        """Put aside what no store takes; what cannot be put aside has no fate yet."""
        reasons = {place: str(error) for place, error in findings.blamed.items()}
        for place, fate in findings.fates.items():
            if fate.refusal is not None and fate.refusal not in _REFUSED:
                reasons[place] = f"{self._state.name}: {fate.reason or fate.refusal}"
        by_reason: dict[str, list[int]] = {}
        for place, reason in reasons.items():
            by_reason.setdefault(reason, []).append(place)
        for reason, places in by_reason.items():
            try:
                await self._state.spool.bury([results[each] for each in places], reason=reason)
            except UnavailableError as exc:
                self._state.troubles["bury"] = exc.detail
                for place in places:
                    findings.fates.pop(place, None)
                    findings.blamed.pop(place, None)
            else:
                self._state.troubles.pop("bury", None)
        return findings

    def _land(self, flight: Flight, findings: Findings) -> None:
        """Give every result its fate; those without one wait again.  Nothing waits in here."""
        state = self._state
        state.flights.discard(flight)
        flight.done = True
        stored = all(fate.refusal is None for fate in findings.fates.values())
        whole = stored and len(findings.fates) == len(flight)
        at, again = 0, list[Parcel]()
        for parcel in flight.parcels:
            count = len(parcel)
            if whole:
                state.settle(parcel, parcel.results, "stored")
                parcel.results = ()
            elif self._settle(parcel, findings, at):
                again.append(parcel)
            at += count
        again = state.shelve(again)
        if findings.fates and findings.interrupted is None:
            # Only what could not be buried is left: it waits for a better time, behind the others.
            for parcel in again:
                parcel.since = state.timing.monotonic() + _RETRY
                state.queue.put(parcel)
        else:
            state.queue.put_back(again)

    def _settle(self, parcel: Parcel, findings: Findings, start: int) -> bool:
        """Settle what has a fate of a parcel; say whether something is left."""
        fates: dict[str, list[CheckResult]] = {}
        left: list[CheckResult] = []
        for place, result in enumerate(parcel.results, start):
            fate = findings.fates.get(place)
            if fate is not None and fate.refusal is None:
                fates.setdefault("stored", []).append(result)
            elif fate is not None and fate.refusal in _REFUSED:
                fates.setdefault("refused", []).append(result)
            elif fate is not None or place in findings.blamed:
                fates.setdefault("dead", []).append(result)
            else:
                left.append(result)
        for name, results in fates.items():
            self._state.settle(parcel, results, name)
        parcel.results = left
        return bool(left)
