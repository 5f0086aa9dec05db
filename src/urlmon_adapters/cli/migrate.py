"""`urlmon migrate`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from urlmon.errors import MigrationError
from urlmon_adapters.cli._invocation import print_json, say
from urlmon_adapters.cli._settings import load_settings
from urlmon_adapters.cli._typer import examples, new_app
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.postgres.migrations import (
    Migrations,
    MigrationStatus,
    new_migration,
    packaged_migrations,
)
from urlmon_adapters.settings import CommandSettings, PostgresSettings

if TYPE_CHECKING:
    from urlmon_adapters.postgres.migrations import AppliedMigration, MigrationFile

app = new_app()

Directory = Annotated[
    Path | None, typer.Option("--dir", help="Where the files are; urlmon's own by default.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_CHECKED = {
    "pending": ExitCode.NOT_UP_TO_DATE,
    "out_of_order": ExitCode.DIVERGED,
    "drifted": ExitCode.DIVERGED,
    "diverged": ExitCode.DIVERGED,
}


class _MigrateSettings(CommandSettings):
    postgres: PostgresSettings


@app.callback(
    invoke_without_command=True,
    epilog=examples(
        "urlmon migrate                                    apply what is pending",
        "urlmon migrate status --check                     exit code 3 if something is",
        'urlmon migrate create alert_notes "notes on alerts"',
    ),
)
def migrate(
    ctx: typer.Context,
    *,
    directory: Directory = None,
    allow_out_of_order: Annotated[
        bool, typer.Option("--allow-out-of-order", help="Apply files older than an applied one.")
    ] = False,
    lock_wait: Annotated[
        float, typer.Option("--lock-wait", min=0, help="Seconds to try to get a lock, each file.")
    ] = 60,
    as_json: AsJson = False,
) -> ExitCode:
    """Bring the schema of PostgreSQL up to date.

    Any number of these can run at the same time: each file is applied once.  A file that fails
    leaves nothing behind.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options_before(ctx)
        return ExitCode.OK
    report = asyncio.run(
        _migrations(ctx, directory).apply(
            allow_out_of_order=allow_out_of_order,
            lock_wait=timedelta(seconds=lock_wait),
            tell=say,
        )
    )
    for warning in report.warnings:
        say(f"warning: {warning}")
    if as_json:
        print_json({"applied": report.applied, "warnings": report.warnings})
    elif not report.applied:
        say("nothing to apply")
    return ExitCode.OK


@app.command(epilog=examples("urlmon migrate status", "urlmon migrate status --json --check"))
def status(
    ctx: typer.Context,
    *,
    directory: Directory = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit with 3 if a file is pending, with 5 if none can be."),
    ] = False,
    as_json: AsJson = False,
) -> ExitCode:
    """Show what was applied and what is pending; changes nothing and waits for nobody."""
    found = asyncio.run(_migrations(ctx, directory).status())
    if as_json:
        print_json(_document(found))
    else:
        _print_status(found)
    return _CHECKED.get(found.state, ExitCode.OK) if check else ExitCode.OK


@app.command(epilog=examples('urlmon migrate create alert_notes "free text on alerts"'))
def create(
    name: Annotated[str, typer.Argument(help="What it is called, in a few words.")],
    description: Annotated[str, typer.Argument(help="What it does, on one line.")],
    *,
    directory: Directory = None,
) -> ExitCode:
    """Write the frame of a new migration, to come after all others, and print its path."""
    folder = packaged_migrations() if directory is None else directory
    if not isinstance(folder, Path) or "site-packages" in folder.parts:
        raise MigrationError("urlmon is installed, not checked out: say with --dir where to write")
    typer.echo(new_migration(folder, name, description))
    return ExitCode.OK


def _migrations(ctx: typer.Context, directory: Path | None) -> Migrations:
    settings = load_settings(ctx, _MigrateSettings).postgres
    return Migrations((settings.migration_url or settings.url).reveal(), directory)


def _refuse_options_before(ctx: typer.Context) -> None:
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            ctx.fail(f"{parameter.opts[0]} goes after '{ctx.invoked_subcommand}'")


def _print_status(found: MigrationStatus) -> None:
    notes = dict.fromkeys((file.version for file in found.edited), "comments edited since")
    notes |= dict.fromkeys((file.version for file in found.drifted), "CHANGED SINCE")
    notes |= dict.fromkeys(found.ahead, "no such file here; newer than all of them")
    notes |= dict.fromkeys(found.diverged, "NO SUCH FILE HERE")
    notes |= dict.fromkeys(
        (file.version for file in found.out_of_order), "OLDER THAN AN APPLIED ONE"
    )
    for row in found.applied:
        at = f"{row.applied_at:%Y-%m-%d %H:%M:%S}Z" if row.applied_at else "at an unknown time"
        typer.echo(f"applied  {at:<20}  {row.version}  {notes.get(row.version, '')}".rstrip())
    for file in found.pending:
        typer.echo(f"pending  {'':<20}  {file.version}  {notes.get(file.version, '')}".rstrip())
    typer.echo(f"state    {found.state}")


def _document(found: MigrationStatus) -> dict[str, object]:
    return {
        "state": found.state,
        "applied": [_applied(row) for row in found.applied],
        "pending": _files(found.pending),
        "out_of_order": _files(found.out_of_order),
        "edited": _files(found.edited),
        "drifted": _files(found.drifted),
        "ahead": found.ahead,
        "diverged": found.diverged,
    }


def _applied(row: AppliedMigration) -> dict[str, object]:
    return {
        "version": row.version,
        "description": row.description,
        "applied_at": row.applied_at and row.applied_at.isoformat(),
        "file": row.file,
    }


def _files(files: tuple[MigrationFile, ...]) -> list[dict[str, object]]:
    return [
        {"version": file.version, "description": file.description, "file": file.name}
        for file in files
    ]
