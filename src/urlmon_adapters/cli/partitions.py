"""`urlmon partitions`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, Final

import typer

from urlmon.errors import MigrationError
from urlmon_adapters.cli._invocation import print_json, say
from urlmon_adapters.cli._settings import load_settings
from urlmon_adapters.cli._typer import examples, new_app
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.postgres import (
    Database,
    Migrations,
    Partition,
    PartitionKeeper,
    build_pool,
    open_pool,
)
from urlmon_adapters.settings import RETENTION_DAYS, CommandSettings, PostgresSettings

app = new_app()
app.callback(
    help="List, make and drop the partitions of check results.",
    epilog=examples(
        "urlmon partitions list",
        "urlmon partitions ensure           make what is missing",
        "urlmon partitions drop --dry-run   show what is older than URLMON_RETENTION_DAYS",
    ),
)(lambda: None)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


class _PartitionSettings(CommandSettings):
    postgres: PostgresSettings


class _DropSettings(_PartitionSettings):
    retention_days: int = RETENTION_DAYS


@app.command("list", epilog=examples("urlmon partitions list", "urlmon partitions list --json"))
def list_(ctx: typer.Context, *, as_json: AsJson = False) -> ExitCode:
    """Show every partition: its bounds in UTC, its size on disk, about how many rows it has."""
    settings = load_settings(ctx, _PartitionSettings)

    async def ask() -> tuple[Partition, ...]:
        async with _keeper(settings.postgres) as keeper:
            return await keeper.list()

    found = asyncio.run(ask())
    if as_json:
        print_json({"partitions": _documents(found)})
    else:
        _print(found)
    return ExitCode.OK


@app.command(epilog=examples("urlmon partitions ensure", "urlmon partitions ensure --dry-run"))
def ensure(ctx: typer.Context, *, dry_run: DryRun = False, as_json: AsJson = False) -> ExitCode:
    """Make the partitions of this month, the next three, and of rows in the default partition.

    With exit code 4 a lock was not to be had: call it again.
    """
    settings = load_settings(ctx, _PartitionSettings)

    async def ask() -> list[str]:
        async with _keeper(settings.postgres) as keeper:
            return [f"{month:%Y-%m}" for month in await keeper.ensure(dry_run=dry_run)]

    months = asyncio.run(ask())
    if as_json:
        print_json({"dry_run": dry_run, "months": months})
    else:
        say(_summary(len(months), "made", "make", dry_run=dry_run))
        for month in months:
            typer.echo(month)
    return ExitCode.OK


@app.command(epilog=examples("urlmon partitions drop --dry-run", "urlmon partitions drop"))
def drop(ctx: typer.Context, *, dry_run: DryRun = False, as_json: AsJson = False) -> ExitCode:
    """Drop the partitions all of whose range is older than URLMON_RETENTION_DAYS.

    With exit code 4 a lock was not to be had: call it again.
    """
    settings = load_settings(ctx, _DropSettings)

    async def ask() -> tuple[Partition, ...]:
        async with _keeper(settings.postgres) as keeper:
            return await keeper.drop(timedelta(days=settings.retention_days), dry_run=dry_run)

    gone = asyncio.run(ask())
    if as_json:
        print_json({"dry_run": dry_run, "partitions": _documents(gone)})
    else:
        say(_summary(len(gone), "dropped", "drop", dry_run=dry_run))
        _print(gone)
    return ExitCode.OK


@asynccontextmanager
async def _keeper(postgres: PostgresSettings) -> AsyncIterator[PartitionKeeper]:
    """Open a connection for a keeper.

    Raises:
        MigrationError: There are no tables yet.
        StoreError: The login fails, or the server is down.
    """
    # On a connection of its own, which says why where a pool only runs out of time.
    if not (await Migrations(postgres.url.reveal()).status()).applied:
        raise MigrationError("there are no tables yet: run `urlmon migrate`")
    pool = build_pool(postgres.url.reveal(), largest=1)
    try:
        await open_pool(pool)
        yield PartitionKeeper(Database(pool), SystemClock())
    finally:
        await pool.close()


def _summary(count: int, done: str, do: str, *, dry_run: bool) -> str:
    return f"nothing to {do}" if not count else f"{'would be ' * dry_run}{done}:"


def _print(partitions: Iterable[Partition]) -> None:
    rows = [
        (each.name, _minute(each.from_at), _minute(each.to_at), _size(each.size_bytes),
         str(each.row_estimate))
        for each in partitions
    ]  # fmt: skip
    if not rows:
        return
    table = [("partition", "from (UTC)", "to (UTC)", "size", "rows, about"), *rows]
    wide = [max(map(len, column)) for column in zip(*table, strict=True)]
    for name, from_at, to_at, size, count in table:
        typer.echo(
            f"{name:<{wide[0]}}  {from_at:<{wide[1]}}  {to_at:<{wide[2]}}"
            f"  {size:>{wide[3]}}  {count:>{wide[4]}}"
        )


def _minute(at: datetime | None) -> str:
    return "any other time" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _size(size: float) -> str:
    unit = 0
    while size >= 1_000 and unit < len(_UNITS) - 1:
        size, unit = size / 1_000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 or size >= 10 else f"{size:.1f} {_UNITS[unit]}"


def _documents(partitions: Iterable[Partition]) -> list[dict[str, object]]:
    return [
        {
            "name": each.name,
            "from_at": each.from_at and each.from_at.isoformat(),
            "to_at": each.to_at and each.to_at.isoformat(),
            "size_bytes": each.size_bytes,
            "row_estimate": each.row_estimate,
            "is_default": each.is_default,
        }
        for each in partitions
    ]
