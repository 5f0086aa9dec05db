"""The `Spool` in files: append-only segments with checksums."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from urlmon.domain.check_results import CheckResult, check_batch
from urlmon.domain.spool import Spooled, SpoolStatus
from urlmon.errors import ConfigurationError, CorruptDataError, InvalidValueError, UnavailableError
from urlmon.ports import Clock, Spool
from urlmon_adapters.spool._aside import Aside
from urlmon_adapters.spool._codec import FORMAT, decode, encode
from urlmon_adapters.spool._folder import DiskFolder, Folder
from urlmon_adapters.spool._segments import Raw, Segments

STORE: Final = "spool"
# A slice of these takes about half a millisecond of the event loop.
_ENCODED_AT_ONCE: Final = 100
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_MISPLACED: Final = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
T = TypeVar("T")


class FileSpool(Spool):
    """Results in segment files of a folder of their own.

    Files are read and written by a thread of the spool's own, so that a slow disk holds nothing
    else.  What waits takes `limit_bytes` at most; what is kept aside, another 64 MiB.
    """

    def __init__(self, folder: Path | Folder, clock: Clock, *, limit_bytes: int) -> None:
        """Keep what it needs; nothing is touched yet.

        Args:
            folder: Where the files are; made by `open` where it is not there.
            clock: Dates what is buried.
            limit_bytes: The most room that waiting results may take.  With less than 16 MiB there
                are batches that never fit.
        """
        self._folder = DiskFolder(folder) if isinstance(folder, Path) else folder
        self._where = str(folder) if isinstance(folder, Path) else "the folder"
        self._clock = clock
        self._aside = Aside(self._folder)
        self._segments = Segments(self._folder, self._aside, limit=limit_bytes)
        self._thread: ThreadPoolExecutor | None = None
        self._dead = 0

    async def open(self) -> SpoolStatus:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="urlmon-spool")
            try:
                await self._do("open", self._open)
            except BaseException:
                await self.close()
                raise
        return self.status()

    def _open(self) -> None:
        self._folder.open()
        self._dead = 0
        self._aside.open()
        self._segments.open()

    async def append(self, results: Sequence[CheckResult]) -> int | None:
        batch = check_batch(results)
        if not batch:
            raise InvalidValueError("results", "must hold at least one result")
        pieces = [FORMAT]
        for at in range(0, len(batch), _ENCODED_AT_ONCE):
            pieces.append(encode(batch[at : at + _ENCODED_AT_ONCE]))
            await asyncio.sleep(0)
        write = partial(self._segments.append, b"".join(pieces), len(batch))
        return await self._do("append", write)

    async def read(
        self, *, after: int, without: Collection[int] = (), limit: int = 5_000
    ) -> tuple[Spooled, ...]:
        read = partial(self._segments.read, after=after, without=without, limit=limit)
        return tuple([await self._decoded(raw) for raw in await self._do("read", read)])

    async def settle(self, numbers: Collection[int]) -> None:
        await self._do("settle", partial(self._segments.settle, tuple(numbers)))

    async def bury(self, results: Sequence[CheckResult], *, reason: str) -> None:
        batch, at = check_batch(results), self._clock.now()
        await self._do("bury", partial(self._aside.bury, batch, reason=reason, at=at))
        self._dead += len(batch)

    def status(self) -> SpoolStatus:
        segments = self._segments
        return SpoolStatus(
            entries=segments.entries,
            results=segments.results,
            size_bytes=segments.size_bytes,
            limit_bytes=segments.limit,
            damaged=segments.damaged,
            dead=self._dead,
            aside_bytes=self._aside.size_bytes,
        )

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown()  # its last work is done

    def _close(self) -> None:
        try:
            self._segments.close()
        finally:
            self._folder.close()

    async def _do(self, method: str, work: Callable[[], T]) -> T:
        """Let the spool's thread do something with files."""
        if self._thread is None:
            raise RuntimeError("the spool is not open")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except OSError as exc:
            if method == "open" and exc.errno in _MISPLACED:
                reason = f"{self._where} cannot be used: {exc.strerror}"
                raise ConfigurationError(f"URLMON_SPOOL_DIR: {reason}") from exc
            detail = f"the disk of {self._where} refuses: {exc.strerror or type(exc).__name__}"
            if exc.errno in _FULL:
                detail = f"there is no space left on the disk of {self._where}"
            raise UnavailableError(STORE, f"Spool.{method}", detail) from exc

    async def _decoded(self, raw: Raw) -> Spooled:
        results: list[CheckResult] = []
        if raw.payload is not None:
            try:
                for some in decode(raw.payload):
                    results += some
                    await asyncio.sleep(0)
            except CorruptDataError:
                results = []
            if len(results) != raw.count:
                keep = partial(self._segments.keep_aside, raw.number, raw.payload)
                await self._do("read", keep)
                results = []
        return Spooled(number=raw.number, count=raw.count, results=tuple(results))
