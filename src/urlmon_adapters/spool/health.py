"""The `HealthCheck` of the spools."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from urlmon.domain.health import ComponentHealth, HealthStatus
from urlmon.ports import Clock, HealthCheck
from urlmon_adapters.spool._folder import DiskFolder
from urlmon_adapters.spool._survey import Survey, survey

_LATE: Final = timedelta(minutes=1)
_NEARLY_FULL: Final = 0.8


class SpoolHealthCheck(HealthCheck):
    """Looks at what waits for each store, also while another process holds the spools."""

    def __init__(
        self, directory: Path, stores: Sequence[str], clock: Clock, *, limit_bytes: int
    ) -> None:
        """Keep what it needs.

        Args:
            directory: Where there is a spool for each store, by its name.
            stores: The names of the stores that are used.
            clock: Says how long something waits.
            limit_bytes: The most room that one spool may take.
        """
        self._directory = directory
        self._stores = tuple(stores)
        self._clock = clock
        self._limit = limit_bytes

    @property
    def name(self) -> str:
        return "spool"

    async def check(self) -> ComponentHealth:
        started = time.monotonic()
        details: list[tuple[str, str]] = []
        problems: list[str] = []
        try:
            found = await asyncio.to_thread(self._look)
        except OSError as exc:
            status = HealthStatus.FAIL
            problems = [f"{self._directory} cannot be read: {exc.strerror or type(exc).__name__}"]
        else:
            for store, seen in found.items():
                details.append((store, self._told(seen)))
                problems += self._problems(store, seen)
            status = HealthStatus.WARN if problems else HealthStatus.PASS
        return ComponentHealth(
            name=self.name,
            status=status,
            latency_us=int((time.monotonic() - started) * 1_000_000),
            details=tuple(details),
            problems=tuple(problems),
        )

    def _look(self) -> dict[str, Survey]:
        seen = dict.fromkeys(self._stores, Survey())
        if self._directory.is_dir():
            folders = sorted(path for path in self._directory.iterdir() if path.is_dir())
            seen |= {path.name: survey(DiskFolder(path)) for path in folders}
        return seen

    def _told(self, seen: Survey) -> str:
        if not seen.results:
            return "nothing waits"
        since = (
            "" if seen.oldest is None else f", the oldest since {seen.oldest:%Y-%m-%d %H:%M:%SZ}"
        )
        return f"{seen.results} results wait{since}"

    def _problems(self, store: str, seen: Survey) -> list[str]:
        problems: list[str] = []
        if seen.results and store not in self._stores:
            problems.append(
                f"results wait for {store}, which is not used any more: rename its folder in"
                f" {self._directory} to the store that is to have them, or remove it"
            )
        elif seen.oldest is not None and self._clock.now() - seen.oldest > _LATE:
            problems.append(
                f"results have waited for {store} for more than a minute: is it up, does the writer"
                " run, or is a backlog just being sent?"
            )
        if seen.results and seen.size_bytes > self._limit * _NEARLY_FULL:
            problems.append(f"the spool for {store} is nearly full: see URLMON_SPOOL_MAX_BYTES")
        if seen.dead_bytes:
            problems.append(
                f"{store} would not take some results: read dead-letters-*.jsonl in"
                f" {self._directory / store}, then remove them"
            )
        if seen.damaged_bytes:
            problems.append(
                f"a part of the spool for {store} could not be read: is the disk sound? What there"
                f" was stands in damaged-*.bin in {self._directory / store}; remove it then"
            )
        return problems
