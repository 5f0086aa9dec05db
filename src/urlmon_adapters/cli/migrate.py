"""`urlmon migrate`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from urlmon.errors import MigrationError
from urlmon_adapters.cli._invocation import print_json, say
from urlmon_adapters.cli._migrate_output import (
    plan_document,
    print_plan,
    print_status,
    status_document,
)
from urlmon_adapters.cli._settings import load_settings
from urlmon_adapters.cli._typer import examples, new_app
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.postgres.migrations import (
    Migrations,
    new_manifest,
    new_migration,
    packaged_migrations,
)
from urlmon_adapters.settings import CommandSettings, PostgresSettings

app = new_app()

Directory = Annotated[
    Path | None, typer.Option("--dir", help="Where the files are; urlmon's own by default.")
]
LockWait = Annotated[
    float, typer.Option("--lock-wait", min=0, help="Seconds to try to get a lock, each file.")
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
        "urlmon migrate --plan                             show what that would run",
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
    lock_wait: LockWait = 60,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only show what would run: no lock, no write.")
    ] = False,
    as_json: AsJson = False,
) -> ExitCode:
    """Bring the schema of PostgreSQL up to date.

    Any number of these can run at the same time: each file is applied once.  A file that fails
    leaves nothing behind.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options_before(ctx)
        return ExitCode.OK
    migrations = _migrations(ctx, directory)
    if plan:
        files = asyncio.run(migrations.plan(allow_out_of_order=allow_out_of_order))
        if as_json:
            print_json(plan_document(files))
        else:
            print_plan(files)
        return ExitCode.OK
    report = asyncio.run(
        migrations.apply(
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
        print_json(status_document(found))
    else:
        print_status(found)
    return _CHECKED.get(found.state, ExitCode.OK) if check else ExitCode.OK


@app.command(epilog=examples("urlmon migrate baseline 001_initial_schema"))
def baseline(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(help="The newest one whose work the database has.")],
    *,
    directory: Directory = None,
    lock_wait: LockWait = 60,
    as_json: AsJson = False,
) -> ExitCode:
    """Record a migration and all older ones as applied, without running them.

    For a database whose schema was made in another way, and that has no history yet.
    """
    assumed = asyncio.run(
        _migrations(ctx, directory).baseline(
            version, lock_wait=timedelta(seconds=lock_wait), tell=say
        )
    )
    if as_json:
        print_json({"assumed": assumed})
    else:
        say(f"assumed to be applied, and not run: {', '.join(assumed)}")
    return ExitCode.OK


@app.command(
    epilog=examples('urlmon migrate accept 002_check_results --reason "index made by hand"')
)
def accept(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(help="The version of the file.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; the history keeps it.")],
    directory: Directory = None,
    lock_wait: LockWait = 60,
    as_json: AsJson = False,
) -> ExitCode:
    """Record that an applied file is right as it is now, although it was changed since.

    Runs nothing: make sure that the database is as the file says.
    """
    accepted = asyncio.run(
        _migrations(ctx, directory).accept(
            version, reason=reason, lock_wait=timedelta(seconds=lock_wait), tell=say
        )
    )
    if as_json:
        print_json({"accepted": accepted})
    else:
        say(f"accepted {version} as it is" if accepted else f"{version} is as it was applied")
    return ExitCode.OK


@app.command(epilog=examples('urlmon migrate create alert_notes "free text on alerts"'))
def create(
    name: Annotated[str, typer.Argument(help="What it is called, in a few words.")],
    description: Annotated[str, typer.Argument(help="What it does, on one line.")],
    *,
    directory: Directory = None,
) -> ExitCode:
    """Write the frame of a new migration, to come after all others, and print its path."""
    typer.echo(new_migration(_writable(directory), name, description))
    return ExitCode.OK


@app.command(epilog=examples("urlmon migrate manifest", "urlmon migrate manifest --dir db"))
def manifest(*, directory: Directory = None) -> ExitCode:
    """Write the list of all files with their hashes, and print its path.

    Where there is one, in an installed package or a folder named by --dir, a file that is missing,
    added or changed stops every other command.
    """
    typer.echo(new_manifest(_writable(directory)))
    return ExitCode.OK


def _writable(directory: Path | None) -> Path:
    folder = packaged_migrations() if directory is None else directory
    if not isinstance(folder, Path) or "site-packages" in folder.parts:
        raise MigrationError("urlmon is installed, not checked out: say with --dir where to write")
    return folder


def _migrations(ctx: typer.Context, directory: Path | None) -> Migrations:
    settings = load_settings(ctx, _MigrateSettings).postgres
    return Migrations((settings.migration_url or settings.url).reveal(), directory)


def _refuse_options_before(ctx: typer.Context) -> None:
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            ctx.fail(f"{parameter.opts[0]} goes after '{ctx.invoked_subcommand}'")
