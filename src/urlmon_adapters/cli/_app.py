"""What the `urlmon` command offers; each command is a module of its own, imported when called."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from urlmon_adapters.cli._invocation import Invocation
from urlmon_adapters.cli._report import report
from urlmon_adapters.cli._typer import examples
from urlmon_adapters.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typer._click import Command, Context

# A command's name is that of its module, which holds it as `app`; here is the first line of its
# help, so that listing the commands imports none of them.
COMMANDS: Final = {
    "config": "Show the settings in effect, without secrets.",
    "health": "Ask every store how it is.",
    "migrate": "Bring the schema of PostgreSQL up to date.",
    "partitions": "List, make and drop the partitions of check results.",
    "results": "Copy check results between PostgreSQL and InfluxDB.",
    "servers": "Run PostgreSQL, Redis and InfluxDB for development.",
}


class _LazyGroup(TyperGroup):
    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            module = importlib.import_module(f"urlmon_adapters.cli.{name}")
            command = get_command(module.app)
        return name, command, rest


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # called by Typer
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  # slow, and needed here alone

        typer.echo(f"urlmon {version('urlmon')} (Python {platform.python_version()})")
        raise typer.Exit


def _root(
    ctx: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001  # its callback does the work
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version."),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="When something fails, show where in the code.")
    ] = False,
) -> ExitCode | None:
    """Operate the stores behind a URL-monitoring application.

    Settings come from the environment and from .env in the current folder.  Data goes to standard
    output, messages go to standard error.
    """
    ctx.ensure_object(Invocation).traceback = traceback
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), err=True)
        return ExitCode.USAGE
    return None


def _build() -> Command:
    app = typer.Typer(
        cls=_LazyGroup,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=examples(
            "urlmon config                 what is configured, and by what",
            "urlmon servers >servers.env   PostgreSQL, Redis and InfluxDB to develop against",
        ),
        invoke_without_command=True,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    for name, summary in COMMANDS.items():
        app.command(name, help=summary)(lambda: None)
    return get_command(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; `arguments` are those of the process by default."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    invocation = Invocation(environ=os.environ)
    try:
        result = _build().main(given, prog_name="urlmon", standalone_mode=False, obj=invocation)
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except Exception as exc:  # noqa: BLE001  # nobody should have to read a traceback
        return report(exc, invocation, as_json="--json" in given)
    return int(result or ExitCode.OK)
