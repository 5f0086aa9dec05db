"""The Python examples of the documents run, on the fakes, and print what they say."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from tests.docs.documents import DOCUMENTS, ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SYBIL = Sybil(parsers=[PythonCodeBlockParser()])
WITH_PYTHON = [
    document
    for document in DOCUMENTS
    if any(block.language == "python" for block in blocks(document))
]


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    """Put the handlers of pytest back after an example that sets up logging."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield
    root.handlers[:] = kept
    root.setLevel(level)


def evaluated(document: Path) -> dict[str, object]:
    """Run a document's examples in order, and return what they defined."""
    parsed = SYBIL.parse(document)
    for example in parsed.examples():
        example.evaluate()
    return parsed.namespace


@pytest.mark.parametrize("document", WITH_PYTHON, ids=lambda each: each.stem)
def test_examples(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every example of a document runs, one after the other, and prints what is beside it."""
    evaluated(document)
    said = [
        line
        for block in blocks(document)
        if block.language == "python"
        for line in re.findall(r"^ *print\(.*\)  # (.*)$", block.text, re.MULTILINE)
    ]
    assert capsys.readouterr().out.splitlines() == said


@pytest.mark.redis
@pytest.mark.influx
def test_readme_on_the_real_stores(
    postgres_url: str,
    redis_settings: dict[str, str],
    influx_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The README's function says the same over the real stores as over the fakes."""
    defined = evaluated(ROOT / "README.md")
    capsys.readouterr()
    settings = redis_settings | influx_environment | {"DATABASE_URL": postgres_url}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    asyncio.run(defined["main"]())  # type: ignore[operator]
    assert capsys.readouterr().out == "down\n"


def test_contract_of_ones_own(tmp_path: Path) -> None:
    """The suite that the page shows for an adapter of one's own runs as it stands there."""
    document = ROOT / "docs/how-to/test-your-application.md"
    (suite,) = (each.text for each in blocks(document) if "Contract)" in each.text)
    (tmp_path / "test_mine.py").write_text(suite)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "add"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"^[1-9]\d* passed", done.stdout.splitlines()[-1]), done.stdout
