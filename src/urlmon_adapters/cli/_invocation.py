"""One call of the command: what it was given, and how it answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from urlmon_adapters._redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

# Grows when a key of a document changes its meaning or goes away; a new key is no change.
_SCHEMA: Final = 1


@dataclass
class Invocation:
    """Reaches every command as `ctx.obj`; a dataclass, as `attrs` would slow down `--help`.

    Attributes:
        environ: The environment of the process.
        dotenv: The `.env` file, which may not exist.
        traceback: Whether a failure shows where it arose.
        redact: Masks secrets in what is shown; knows those of the settings once they are loaded.
    """

    environ: Mapping[str, str] = field(repr=False)
    dotenv: Path = Path(".env")
    traceback: bool = False
    redact: Redactor = field(default_factory=Redactor)


def say(message: str) -> None:
    """Tell the person something, on standard error; standard output is for data."""
    typer.echo(message, err=True)


def print_json(document: Mapping[str, object]) -> None:
    """Print the one document of a command that was called with `--json`."""
    typer.echo(json.dumps({"schema": _SCHEMA, **document}, indent=2))
