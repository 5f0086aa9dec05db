"""Stores results: through the result writer where there is a spool, else those at hand together."""

from __future__ import annotations

import asyncio
import logging

from urlmon import CheckResult, ConfigurationError, UnavailableError
from urlmon.ports import CheckResultStore
from urlmon.services.result_writer import ResultWriter
from urlmon_adapters.container import PersistencePorts

MAX_BATCH = 500
RETRY_SECONDS = 1.0

log = logging.getLogger("recorder")


def recorder(stores: PersistencePorts) -> Recorder | Spooler:
    """Return what brings results to where they are safe."""
    try:
        return Spooler(stores.result_writer())
    except ConfigurationError:  # URLMON_SPOOL_DIR is not set
        return Recorder(stores.check_results())


class Spooler:
    """Hands results to the result writer: with the store down, they are safe on the disk."""

    def __init__(self, writer: ResultWriter) -> None:
        self._writer = writer

    async def record(self, result: CheckResult) -> None:
        """Return once a result is stored, or on the disk."""
        while True:
            try:
                receipt = await self._writer.submit([result])
                return await receipt.durable()
            except UnavailableError as exc:
                log.warning("will try again: %s", exc)
                await asyncio.sleep(RETRY_SECONDS)

    async def run(self) -> None:
        """Do nothing: the writer works by itself while the stores are open."""


class Recorder:
    """Brings results to their store, and tells when they are there."""

    def __init__(self, results: CheckResultStore) -> None:
        self._results = results
        self._waiting: asyncio.Queue[tuple[CheckResult, asyncio.Future[None]]] = asyncio.Queue()

    async def record(self, result: CheckResult) -> None:
        """Return once a result is stored, however long the store is down."""
        stored = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((result, stored))
        await stored

    async def run(self) -> None:
        """Store what comes until cancelled."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < MAX_BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            # Nobody waits any more for what was cancelled: another has that check.
            await self._store([(result, stored) for result, stored in batch if not stored.done()])

    async def _store(self, batch: list[tuple[CheckResult, asyncio.Future[None]]]) -> None:
        while True:
            try:
                fates = await self._results.record([result for result, _ in batch])
                break
            except UnavailableError as exc:
                log.warning("will try again: %s", exc)
                await asyncio.sleep(RETRY_SECONDS)
        for (result, stored), fate in zip(batch, fates, strict=True):
            if not fate.stored:
                log.error("the result of %s was refused: %s", result.monitor_id, fate.refusal)
            if not stored.done():
                stored.set_result(None)
