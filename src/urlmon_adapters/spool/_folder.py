"""The folder of a spool: the few things that are done to files, and nothing about what is in them.

Tests put another class in its place, one that forgets what was not synced or refuses at will.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from urlmon.errors import ConfigurationError, UnavailableError

_PAGE: Final = 4_096
_LOCK: Final = "owner.lock"
_PRIVATE: Final = 0o600
# Not on every system, and then a plain fsync does the same and more.
_sync_data = getattr(os, "fdatasync", os.fsync)


class File(Protocol):
    """A file that grows at its end.  Everything can raise `OSError`."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Put bytes at the end, all of them."""

    @abstractmethod
    def sync(self) -> None:
        """Return once everything written is safe from power loss."""

    @abstractmethod
    def close(self) -> None:
        """Close it."""


class Folder(Protocol):
    """A folder of files.  Everything can raise `OSError`."""

    @abstractmethod
    def open(self) -> None:
        """Make sure that it is there, private, and nobody else's."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all files, in order."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Return the size of a file."""

    @abstractmethod
    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return bytes of a file, fewer where it ends.  What the disk lost reads as zeros."""

    @abstractmethod
    def grow(self, name: str) -> File:
        """Open a file to write at its end; make it where it is not there."""

    @abstractmethod
    def truncate(self, name: str, size: int) -> None:
        """Cut a file off."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; it may be gone already."""

    @abstractmethod
    def sync(self) -> None:
        """Return once the names of new files are safe from power loss."""

    @abstractmethod
    def close(self) -> None:
        """Let others have it."""


class DiskFile(File):
    """A file on the disk."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def sync(self) -> None:
        _sync_data(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class DiskFolder(Folder):
    """A folder on the disk, which its owner alone may look into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folder and take it.

        Raises:
            ConfigurationError: It cannot be used, or others may look into it.
            UnavailableError: Another process has it.
        """
        self._make()
        found = self.path.stat()
        if found.st_uid != os.geteuid():
            raise ConfigurationError(
                f"URLMON_SPOOL_DIR: {self.path} belongs to another user (uid {found.st_uid}):"
                " give it to the one that runs urlmon"
            )
        self._check_mode(self.path, found.st_mode, "700")
        self._lock = self._locked()
        try:
            for name in self.names():
                self._check_mode(self.path / name, (self.path / name).stat().st_mode, "600")
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        if not self.path.is_dir():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700)
            _sync_entries(self.path.parent)

    def _check_mode(self, path: Path, mode: int, right: str) -> None:
        if stat.S_IMODE(mode) & 0o077:
            raise ConfigurationError(
                f"URLMON_SPOOL_DIR: others may use {path}, whose mode is {stat.S_IMODE(mode):03o}:"
                f" chmod {right} it"
            )

    def _locked(self) -> int:
        lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            owner = os.pread(lock, 20, 0).decode(errors="replace").strip()
            os.close(lock)
            if exc.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
            detail = (
                f"process {owner or '?'} uses {self.path}: give each process a folder of its own"
            )
            raise UnavailableError("spool", "Spool.open", detail) from exc
        with suppress(OSError):  # for people alone
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

    def names(self) -> list[str]:
        return sorted(name for name in os.listdir(self.path) if name != _LOCK)  # noqa: PTH208

    def size(self, name: str) -> int:
        return (self.path / name).stat().st_size

    def read(self, name: str, offset: int, size: int) -> bytes:
        descriptor = os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            try:
                return os.pread(descriptor, size, offset)
            except OSError as exc:
                if exc.errno != errno.EIO:
                    raise
                size = min(size, max(0, os.fstat(descriptor).st_size - offset))
                starts = range(offset, offset + size, _PAGE)
                pages = ((at, min(_PAGE, offset + size - at)) for at in starts)
                return b"".join(_page(descriptor, at, length) for at, length in pages)
        finally:
            os.close(descriptor)

    def grow(self, name: str) -> File:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return DiskFile(os.open(self.path / name, flags, _PRIVATE))

    def truncate(self, name: str, size: int) -> None:
        os.truncate(self.path / name, size)

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def sync(self) -> None:
        _sync_entries(self.path)

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _page(descriptor: int, at: int, size: int) -> bytes:
    """Read a page of a failing disk; zeros, which no checksum fits, where it cannot be had."""
    try:
        return os.pread(descriptor, size, at)
    except OSError as exc:
        if exc.errno != errno.EIO:
            raise
        return bytes(size)


def _sync_entries(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
