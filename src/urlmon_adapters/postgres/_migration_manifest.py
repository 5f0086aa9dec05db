"""The list of migrations that shows whether all of them are there, and unchanged.

Its lines are those of `sha256sum`: the hash of a file whose lines end in LF, and its name.  A
package that was built without some file would else pass for an older release; and two branches that
both add a migration meet in this file, before they meet in a database.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from urlmon.errors import MigrationError

_MANIFEST: Final = "manifest.txt"
_LINE: Final = re.compile(r"([0-9a-f]{64})  (\S+)")
_REINSTALL: Final = "urlmon was not built or installed as a whole; install it again"
_UPDATE: Final = "if they are as they should be, run `urlmon migrate manifest` with the same --dir"


def check_manifest(
    directory: Traversable, texts: Mapping[str, str], *, required: bool = False
) -> None:
    """Compare the migrations of a directory with its manifest.

    Args:
        directory: Where the manifest is.
        texts: The text of each migration, by name; lines end in LF.
        required: Whether there must be a manifest.

    Raises:
        MigrationError: They differ; says in which files.
    """
    manifest = directory / _MANIFEST
    if not manifest.is_file():
        if required:
            raise MigrationError(f"{manifest} is missing: {_REINSTALL}")
        return
    listed: dict[str, str] = {}
    for line in manifest.read_text(encoding="utf-8").splitlines():
        matched = _LINE.fullmatch(line)
        if matched is None:
            raise MigrationError(f"{manifest}: this is no line of a manifest: {line[:100]!r}")
        listed[matched[2]] = matched[1]
    here = _hashes(texts)
    problems = {
        "missing": listed.keys() - here.keys(),
        "not listed": here.keys() - listed.keys(),
        "changed": {name for name in listed.keys() & here.keys() if listed[name] != here[name]},
    }
    found = [f"{what}: {', '.join(sorted(names))}" for what, names in problems.items() if names]
    if found:
        what_to_do = _REINSTALL if required else _UPDATE
        raise MigrationError(
            f"the migrations in {directory} are not those of its {_MANIFEST}"
            f" ({'; '.join(found)}): {what_to_do}"
        )


def write_manifest(directory: Path, texts: Mapping[str, str]) -> Path:
    """Write the manifest of migrations, by name in order, and return its path.

    Raises:
        MigrationError: It cannot be written.
    """
    path = directory / _MANIFEST
    lines = [f"{digest}  {name}\n" for name, digest in _hashes(texts).items()]
    try:
        path.write_text("".join(lines), encoding="utf-8", newline="\n")
    except OSError as exc:
        raise MigrationError(f"{path} cannot be written: {exc.strerror}") from exc
    return path


def _hashes(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
