"""What can go wrong with a server that urlmon starts itself."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from urlmon.errors import UrlmonError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL: Final = "free some space, or choose a folder elsewhere"
_CLOSED: Final = "choose a folder that you may write to"
_IN_THE_WAY: Final = "a file is in the way: remove it, or choose another folder"
_FOLDER_HINTS: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EROFS: _CLOSED,
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
}
# What servers, initdb and compilers print, with the one thing to do about it.
_OUTPUT_HINTS: Final = {
    "no space left on device": _FULL,
    "disk quota exceeded": _FULL,
    "read-only file system": _CLOSED,
    "permission denied": _CLOSED,
}


class ServerError(UrlmonError):
    """A server could not be started, stopped or reached.

    Attributes:
        server: Which one, such as `"PostgreSQL 18"`.
        detail: What happened and what to do.
    """

    def __init__(self, server: str, detail: str) -> None:
        super().__init__(server, detail)
        self.server = server
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.server}: {self.detail}"


class MissingServerError(ServerError):
    """The server's program is not on this machine; `detail` says how to get it."""


@contextmanager
def folder_errors(server: str, folder: Path) -> Iterator[None]:
    """Turn an `OSError` about a server's folder into one clear `ServerError`."""
    try:
        yield
    except OSError as exc:
        where = exc.filename or folder
        hint = _FOLDER_HINTS.get(exc.errno or 0, "choose another folder")
        raise ServerError(server, f"cannot use {where}: {exc.strerror or exc}; {hint}") from exc


def output_summary(output: str, *, lines: int = 6) -> str:
    """Say in few lines why a program failed: the line that explains it, else its last lines."""
    said = [line.strip() for line in output.splitlines() if line.strip()]
    for line in said:
        for phrase, hint in _OUTPUT_HINTS.items():
            if phrase in line.lower():
                return f"{line}; {hint}"
    return "\n  ".join(["its last words were:", *said[-lines:]]) if said else "it said nothing"
