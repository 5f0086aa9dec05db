"""What all commands share in how they are declared."""

from __future__ import annotations

import typer


def new_app() -> typer.Typer:
    """Return an application without Rich, whose import would take longer than most commands."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def examples(*lines: str) -> str:
    """Return the end of a command's help, which keeps its lines as they are."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
