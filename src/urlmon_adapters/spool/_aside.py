"""What no store takes and what cannot be read: kept aside for a person, in a bounded room."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from attrs import asdict

from urlmon.domain.check_results import CheckResult
from urlmon_adapters.spool._folder import Folder

DEAD: Final = "dead-letters-"
DAMAGED: Final = "damaged-"
_NAME: Final = re.compile(rf"{DEAD}[0-9]{{8}}\.jsonl|{DAMAGED}[0-9]{{8}}\.bin")
_FILE_BYTES: Final = 8 << 20
_ALL_BYTES: Final = 8 * _FILE_BYTES

_log = logging.getLogger("urlmon.spool")


def is_kept(name: str) -> bool:
    """Say whether a file has the name of what is kept aside, and not one that a person gave it."""
    return _NAME.fullmatch(name) is not None


class Aside:
    """Dead letters and damaged places: up to 64 MiB, of which the oldest are the first to go."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.size_bytes = 0
        self._sizes: dict[str, int] = {}
        self._whole: set[str] = set()  # files whose last write came to its end

    def open(self) -> None:
        """Look what there is."""
        names = filter(is_kept, self._folder.names())
        self._sizes = {name: self._folder.size(name) for name in names}
        self._shrink()

    def bury(self, results: Iterable[CheckResult], *, reason: str, at: datetime) -> None:
        """Put results aside, each as a line of JSON with the reason; return when they are safe."""
        lines = [
            json.dumps({"buried_at": at, "reason": reason, "result": asdict(each)}, default=str)
            for each in results
        ]
        self._write(DEAD, ".jsonl", ("\n".join(lines) + "\n").encode())

    def keep(self, pieces: Iterable[bytes]) -> None:
        """Put bytes aside that nobody can read, as they are."""
        self._write(DAMAGED, ".bin", b"".join(pieces))

    def _write(self, kind: str, ending: str, data: bytes) -> None:
        names = sorted(name for name in self._sizes if name.startswith(kind))
        name = names[-1] if names else ""
        if name not in self._whole or self._sizes[name] + len(data) > _FILE_BYTES:
            name = f"{kind}{int(name[len(kind) :][:8] or 0) + 1:08}{ending}"
        file = self._folder.grow(name)
        try:
            file.write(data)
            file.sync()
            if name not in self._whole:
                self._folder.sync()
            self._whole.add(name)
        except BaseException:
            self._whole.discard(name)
            raise
        finally:
            file.close()
            self._sizes[name] = self._folder.size(name)
            self._shrink(name)

    def _shrink(self, kept: str = "") -> None:
        self.size_bytes = sum(self._sizes.values())
        for name in sorted(self._sizes, key=lambda each: each.partition("-0")[2]):
            if self.size_bytes <= _ALL_BYTES or name == kept:
                break
            self._folder.remove(name)
            self.size_bytes -= self._sizes.pop(name)
            _log.error("%s was removed unread: there is too much kept aside", name)


def dead_letters(folder: Folder) -> Iterator[dict[str, object]]:
    """Yield what was buried in a folder, oldest first."""
    for name in folder.names():
        if name.startswith(DEAD):
            for line in folder.read(name, 0, folder.size(name)).splitlines():
                try:
                    letter: object = json.loads(line)
                except ValueError:  # the end of a write that a crash cut off
                    continue
                if isinstance(letter, dict):
                    yield letter
