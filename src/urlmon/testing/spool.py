"""The fake of `Spool`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from urlmon.domain.check_results import CheckResult, check_batch
from urlmon.domain.spool import Spooled, SpoolStatus
from urlmon.errors import InvalidValueError
from urlmon.ports import Spool
from urlmon.testing.state import InMemoryState

_BYTES: Final = 120
"""What a result takes, roughly as much as on a disk."""


class InMemorySpool(Spool):
    """Keeps entries in memory as long as the object lives: closing it loses nothing.

    Attributes:
        buried: What was buried, with the reason.
    """

    def __init__(self, state: InMemoryState, *, limit_bytes: int = 1 << 30) -> None:
        """Keep the parts.

        Args:
            state: Whose faults decide, by the names `Spool.append`, `Spool.read` and so on.
            limit_bytes: The most that may wait, at 120 bytes a result.
        """
        self._state = state
        self._limit = limit_bytes
        self._entries: dict[int, tuple[CheckResult, ...]] = {}
        self._last = 0
        self._dead = 0
        self._opened = False
        self.buried: list[tuple[CheckResult, str]] = []

    async def open(self) -> SpoolStatus:
        async with self._state.faults.call("Spool.open"):
            if not self._opened:
                self._opened, self._dead = True, 0
            return self.status()

    async def append(self, results: Sequence[CheckResult]) -> int | None:
        batch = check_batch(results)
        if not batch:
            raise InvalidValueError("results", "must hold at least one result")
        async with self._state.faults.call("Spool.append"):
            if self.status().size_bytes + len(batch) * _BYTES > self._limit:
                return None
            self._last += 1
            self._entries[self._last] = batch
            return self._last

    async def read(
        self, *, after: int, without: Collection[int] = (), limit: int = 5_000
    ) -> tuple[Spooled, ...]:
        async with self._state.faults.call("Spool.read"):
            found: list[Spooled] = []
            total = 0
            for number, results in self._entries.items():
                if number <= after or number in without:
                    continue
                total += len(results)
                if found and total > limit:
                    break
                found.append(Spooled(number=number, count=len(results), results=results))
            return tuple(found)

    async def settle(self, numbers: Collection[int]) -> None:
        async with self._state.faults.call("Spool.settle"):
            for number in numbers:
                self._entries.pop(number, None)

    async def bury(self, results: Sequence[CheckResult], *, reason: str) -> None:
        batch = check_batch(results)
        async with self._state.faults.call("Spool.bury"):
            self.buried += [(result, reason) for result in batch]
            self._dead += len(batch)

    def status(self) -> SpoolStatus:
        results = sum(map(len, self._entries.values()))
        return SpoolStatus(
            entries=len(self._entries),
            results=results,
            size_bytes=results * _BYTES,
            limit_bytes=self._limit,
            dead=self._dead,
        )

    async def close(self) -> None:
        self._opened = False
