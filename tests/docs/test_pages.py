"""What the documents say of commands, settings, files and names is so."""

from __future__ import annotations

import importlib
import re
import shlex
from typing import TYPE_CHECKING

import pytest
from tests.docs.documents import (
    DOCUMENTS,
    EXECUTED,
    MARKER,
    PAGES,
    ROOT,
    blocks,
    blocks_of,
    outside_blocks,
)
from typer.main import get_command

from urlmon.errors import ConfigurationError
from urlmon_adapters._settings_model import known_settings
from urlmon_adapters.cli import _app
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
COMMAND_PAGE = (ROOT / "docs/reference/command.md").read_text()
ROOT_OPTIONS = {"--help", "--install-completion", "--traceback", "--version"}
PLACES = {"127.0.0.1", "influxdb", "keepachangelog.com", "semver.org"}

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.name)


def commands(program: str, text: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of a program in a text, in a block or in backticks."""
    lines = [line for each in blocks_of(text) if each.language == "sh" for line in each.lines]
    for line in (*lines, *re.findall(r"`([^`\n]+)`", outside_blocks(text))):
        for part in re.split(r"\s*(?:&&|\|\||[;|>])\s*", line) if program in line else ():
            words = [word for word in shlex.split(part, comments=True) if word]
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if words[:1] == [program]:
                yield words[1:]


def options() -> dict[str, set[str]]:
    """Return the long options of each command, by its name and that of what it is a part of."""
    found: dict[str, set[str]] = {}
    for name in _app.COMMANDS:
        command = get_command(importlib.import_module(f"urlmon_adapters.cli.{name}").app)
        children = getattr(command, "commands", {}).items()
        for path, each in [(name, command), *((f"{name} {child}", one) for child, one in children)]:
            names = (option for parameter in each.params for option in parameter.opts)
            found[path] = {option for option in names if option.startswith("--")}
    return found


def settings_table() -> str:
    """Return the table of settings that belongs into the README."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({})
    required = {problem.split()[0] for problem in caught.value.problems}
    rows = ["| name | meaning | default |", "|---|---|---|"]
    known = known_settings(Settings)
    for name in sorted(known, key=lambda each: each.startswith("URLMON_LOG")):
        info = known[name]
        unset = info.is_required() or info.default in {None, ()}
        default = "none" if unset else f"`{info.default}`"
        default = "required" if name in required else default
        rows.append(f"| `{name}` | {info.description} | {default} |")
    return "\n".join(rows)


def test_readme_lists_the_settings() -> None:
    """The README's table has every setting with its meaning and default, in order."""
    _, _, rest = README.partition("<!-- configuration table")
    table = rest.split("\n\n")[1]
    assert table == settings_table(), f"put this into the README:\n{settings_table()}"


def test_readme_names_variables_of_make() -> None:
    """Each `NAME=value` of the README that is meant for make is a variable of the Makefile."""
    variables = set(re.findall(r"`([A-Z]+)=[^`]+`", README))
    assert len(variables) > 3
    assert variables <= set(re.findall(r"\$\((\w+)\)", MAKEFILE))


def test_readme_names_every_secret_file() -> None:
    """The README names each setting that can be given by file."""
    secret = {name for name, info in known_settings(Settings).items() if not info.repr}
    assert set(re.findall(r"`(\w+)_FILE`", README)) == secret


def test_readme_links_every_page() -> None:
    """Each page is reached from the README, decisions by their folder."""
    for page in PAGES:
        path = page.relative_to(ROOT)
        assert str(path) in README or f"{path.parent}/)" in README


@each_document
def test_links(document: Path) -> None:
    """Each link inside of the project leads to a file that exists."""
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


@each_document
def test_make_commands(document: Path) -> None:
    """Each `make` command names a target and variables of the Makefile."""
    for words in commands("make", document.read_text()):
        for word in words:
            name, is_variable, _ = word.partition("=")
            wanted = rf"\$\({name}\)" if is_variable else rf"^{name}:.*  ## "
            assert re.search(wanted, MAKEFILE, re.MULTILINE), word


@each_document
def test_urlmon_commands(document: Path) -> None:
    """Each call of the command names a command and options that exist."""
    known = options()
    for words in commands("urlmon", document.read_text()):
        names = [word for word in words if not word.startswith("-")]
        name = " ".join(names[:2])
        name = name if name in known else " ".join(names[:1])
        used = {word for word in words if word.startswith("--")}
        assert used <= known.get(name, set()) | ROOT_OPTIONS, words
        assert name in {*known, ""}, words


def test_urlmon_commands_are_found() -> None:
    """The search for calls finds them: in blocks, behind settings, before a pipe, in backticks."""
    text = "`urlmon x`\n```sh\nA=1 urlmon y --z 1 | jq # why\nb && urlmon c >d\nurlmonx\n```\n"
    assert list(commands("urlmon", text)) == [["y", "--z", "1"], ["c"], ["x"]]


@each_document
def test_settings_exist(document: Path) -> None:
    """Each name of ours in a document is a setting, the file of one, or names a test's server."""
    known = known_settings(Settings)
    named = re.findall(r"\b(?:URLMON|INFLUXDB|DATABASE|REDIS)_[A-Z_]+\b", document.read_text())
    for name in named:
        is_setting = name.removesuffix("_FILE") in known
        assert is_setting or name.startswith(("URLMON_TEST_", "INFLUXDB_ADMIN")), name


@each_document
def test_links_lead_to_known_places(document: Path) -> None:
    """Where packages come from is a matter of the machine: documents name no other hosts."""
    hosts = set(re.findall(r"https?://([\w.-]+)", document.read_text()))
    assert {host for host in hosts if "example" not in host} <= PLACES


def test_the_reference_has_every_command() -> None:
    """Each command stands in the reference with all of its options, and no others."""
    rows = re.findall(r"^\| `urlmon ([a-z ]+)` \|.*\| ([^|]*) \|$", COMMAND_PAGE, re.MULTILINE)
    assert {name: set(re.findall(r"--[a-z-]+", listed)) for name, listed in rows} == options()


def test_the_reference_has_every_exit_code() -> None:
    """The table of exit codes is the enumeration."""
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", COMMAND_PAGE, re.MULTILINE)
    assert rows == [(str(int(code)), code.name) for code in ExitCode]


@each_document
def test_every_marker_is_known(document: Path) -> None:
    """A marker stands above a block, and a test runs it: what is said to be executed is."""
    found = [block.marker for block in blocks(document) if block.marker is not None]
    assert found == MARKER.findall(document.read_text())
    assert all(document.stem in EXECUTED[marker] for marker in found)


def test_every_test_has_its_blocks() -> None:
    """Nothing in the list of what is executed is left over."""
    for marker, names in EXECUTED.items():
        having = {page.stem for page in DOCUMENTS if any(b.marker == marker for b in blocks(page))}
        assert having == names
