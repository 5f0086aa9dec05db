"""`urlmon results`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

import typer

from urlmon.domain.periods import Period
from urlmon.errors import InvalidValueError, UrlmonError
from urlmon.ports import CheckResultArchive, CheckResultStore
from urlmon.services.result_copy import CopyProgress, copy_results
from urlmon_adapters.cli._invocation import print_json, say
from urlmon_adapters.cli._settings import load_settings
from urlmon_adapters.cli._typer import examples, new_app
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.influx import (
    Influx,
    InfluxCheckResultArchive,
    InfluxCheckResultStore,
    ensure_bucket,
)
from urlmon_adapters.postgres import (
    Database,
    PostgresCheckResultArchive,
    PostgresCheckResultStore,
    build_pool,
    open_pool,
)
from urlmon_adapters.settings import (
    RETENTION_DAYS,
    CommandSettings,
    InfluxSettings,
    PostgresSettings,
)

app = new_app()
app.callback(
    help="Copy check results between PostgreSQL and InfluxDB.",
    epilog=examples(
        "urlmon results copy --from postgresql --to influxdb --since 2026-11-01",
    ),
)(lambda: None)


class _Store(StrEnum):
    INFLUXDB = "influxdb"
    POSTGRESQL = "postgresql"


class _CopySettings(CommandSettings):
    postgres: PostgresSettings
    influxdb: InfluxSettings
    retention_days: int = RETENTION_DAYS


Source = Annotated[_Store, typer.Option("--from", help="Where results are read.")]
Target = Annotated[_Store, typer.Option("--to", help="Where they are recorded.")]
Since = Annotated[
    str, typer.Option(metavar="TIME", help="Results due from then on (ISO 8601, UTC by default).")
]
Until = Annotated[
    str | None, typer.Option(metavar="TIME", help="Results due before then; now by default.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_Sides = tuple[CheckResultArchive, CheckResultStore]
_EXAMPLES: Final = (
    "urlmon results copy --from postgresql --to influxdb --since 2026-11-01",
    "urlmon results copy --from influxdb --to postgresql --since 2026-11-01 --until 2026-11-02",
)


@app.command(epilog=examples(*_EXAMPLES))
def copy(
    ctx: typer.Context,
    *,
    source: Source,
    target: Target,
    since: Since,
    until: Until = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Record in one store the results of all tenants that another one has.

    May be repeated, also after it was interrupted: what is there already stays as it is.
    """
    if source == target:
        raise typer.BadParameter("--from and --to must be different stores")
    period = _period(since, until)
    settings = load_settings(ctx, _CopySettings)
    with _showing(period, quiet=as_json) as (show, seen):
        try:
            done = asyncio.run(_copy(settings, source, target, period, show))
        except (UrlmonError, KeyboardInterrupt):
            if seen:
                say(f"copied up to {_text(seen[-1].reached)}; go on with --since from there")
            raise
    if as_json:
        print_json(_document(done))
    else:
        _print(done)
    return ExitCode.FAILED if done.refused else ExitCode.OK


async def _copy(
    settings: _CopySettings,
    source: _Store,
    target: _Store,
    period: Period,
    show: Callable[[CopyProgress], None],
) -> CopyProgress:
    async with _postgres(settings) as postgres, _influx(settings) as influx:
        sides = {_Store.POSTGRESQL: postgres, _Store.INFLUXDB: influx}
        return await copy_results(sides[source][0], sides[target][1], period, on_progress=show)


@asynccontextmanager
async def _postgres(settings: _CopySettings) -> AsyncIterator[_Sides]:
    pool = build_pool(settings.postgres.url.reveal(), largest=2)
    try:
        await open_pool(pool)
        database, kept = Database(pool), timedelta(days=settings.retention_days)
        store = PostgresCheckResultStore(database, SystemClock(), retention=kept)
        yield PostgresCheckResultArchive(database), store
    finally:
        await pool.close()


@asynccontextmanager
async def _influx(settings: _CopySettings) -> AsyncIterator[_Sides]:
    given, kept = settings.influxdb, timedelta(days=settings.retention_days)
    influx = Influx(given.url, given.token, org=given.org, bucket=given.bucket)
    try:
        await influx.open()
        await ensure_bucket(influx, retention=kept)
        store = InfluxCheckResultStore(influx, SystemClock(), retention=kept)
        yield InfluxCheckResultArchive(influx), store
    finally:
        await influx.close()


def _period(since: str, until: str | None) -> Period:
    """Return the period that was asked for.

    Raises:
        BadParameter: The options do not give one.
    """
    first = _instant("--since", since)
    last = SystemClock().now() if until is None else _instant("--until", until)
    try:
        return Period(since=first, until=last)
    except InvalidValueError as exc:
        option = "--since" if exc.field == "since" else "--until"
        wrong = "must be later than --since" if first >= last else "must be from 2000 to 2199"
        raise typer.BadParameter(f"{option}: {wrong}") from exc


def _instant(option: str, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        meaning = "must be a time such as 2026-11-01 or 2026-11-01T12:00:00+01:00"
        raise typer.BadParameter(f"{option}: {meaning}") from exc


@contextmanager
def _showing(
    period: Period, *, quiet: bool
) -> Iterator[tuple[Callable[[CopyProgress], None], list[CopyProgress]]]:
    """Show progress as a bar on a terminal, and keep the last that was told."""
    seen: list[CopyProgress] = []
    if quiet or not sys.stderr.isatty():
        yield lambda progress: seen.__setitem__(slice(None), [progress]), seen
        return
    from rich.console import Console  # noqa: PLC0415 - slow, and for people only
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("copying", total=period.length.total_seconds())

        def show(progress: CopyProgress) -> None:
            seen[:] = [progress]
            done = (progress.reached - period.since).total_seconds()
            bar.update(task, completed=done, description=f"{progress.read} results")

        yield show, seen


def _print(done: CopyProgress) -> None:
    kinds = (("new", done.new), ("there already", done.known), ("stored", done.stored))
    counts = [f"{count} {kind}" for kind, count in kinds if count]
    say(f"{done.read} results: {', '.join(counts) or 'nothing to store'}")
    for reason, count in sorted(done.refused.items()):
        say(f"{count} refused: {reason}")


def _document(done: CopyProgress) -> dict[str, object]:
    return {
        "read": done.read,
        "new": done.new,
        "known": done.known,
        "stored": done.stored,
        "refused": dict(done.refused),
        "reached": done.reached.isoformat(),
    }


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
