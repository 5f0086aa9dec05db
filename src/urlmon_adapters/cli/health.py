"""`urlmon health`."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Annotated, Final

import typer
from attrs import evolve

from urlmon.domain.health import ComponentHealth, HealthReport, HealthStatus
from urlmon.errors import MigrationError, StoreError
from urlmon.ports import HealthCheck
from urlmon_adapters.cli._invocation import print_json, say
from urlmon_adapters.cli._settings import load_settings
from urlmon_adapters.cli._typer import examples, new_app
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.container import PersistenceContainer
from urlmon_adapters.health import check_health
from urlmon_adapters.postgres import Migrations, Pool
from urlmon_adapters.settings import Settings

app = new_app()

_PAUSE_SECONDS: Final = 0.5


@app.command(
    epilog=examples(
        "urlmon health",
        "urlmon health --wait 60 && exec python service.py",
        "urlmon health --json | jq .serves",
    )
)
def health(
    ctx: typer.Context,
    *,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait until every store serves.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> ExitCode:
    """Ask every store how it is.

    A store passes, warns (it serves, but look at it) or fails.  With a store that fails the exit
    code is 1.  Changes nothing.
    """
    settings = load_settings(ctx, Settings)
    report = asyncio.run(_awaited(settings, wait_seconds=wait))
    if as_json:
        print_json(_document(report))
    else:
        for component in report.components:
            _print(component)
    return ExitCode.FAILED if report.status is HealthStatus.FAIL else ExitCode.OK


async def _awaited(settings: Settings, *, wait_seconds: float) -> HealthReport:
    """Look until every store serves, or the time is over."""
    deadline = time.monotonic() + wait_seconds
    told: list[str] = []
    while True:
        report = await _look(settings)
        failing = [name for name, serves in report.short().items() if not serves]
        if not failing or time.monotonic() >= deadline:
            return report
        if failing != told:
            say(f"waiting for {', '.join(failing)}")
            told = failing
        await asyncio.sleep(_PAUSE_SECONDS)


async def _look(settings: Settings) -> HealthReport:
    """Look once, with new clients: those that met a dead server come back to it late."""
    container = PersistenceContainer(settings=settings)
    login = Migrations(settings.postgres.url.reveal())
    async with AsyncExitStack() as stack:
        # `running` would raise for a store that is down; nothing here connects before its check.
        stack.push_async_callback(container._redis_client().aclose)  # noqa: SLF001 - `running` would
        if settings.influxdb is not None:
            stack.push_async_callback(container.influxdb().close)
            await container.influxdb().open()
        stack.push_async_callback(container.pool().close)
        postgres, *others = container.health_checks()
        return await check_health(
            [_PostgresCheck(postgres, container.pool(), login), *others],
            clock=container.clock(),
            time_limit=timedelta(seconds=settings.health_timeout_seconds),
        )


class _PostgresCheck(HealthCheck):
    """Logs in before the pool is opened: a pool says that it got no connection, and not why."""

    def __init__(self, check: HealthCheck, pool: Pool, login: Migrations) -> None:
        self._check = check
        self._pool = pool
        self._login = login

    @property
    def name(self) -> str:
        """The component's name, as the port says."""
        return self._check.name

    async def check(self) -> ComponentHealth:
        """Look at the store, as the port says."""
        started = time.monotonic()
        try:
            await self._login.status()
        except (StoreError, MigrationError) as exc:
            return ComponentHealth(
                name=self.name,
                status=HealthStatus.FAIL,
                latency_us=int((time.monotonic() - started) * 1_000_000),
                problems=(exc.detail if isinstance(exc, StoreError) else str(exc),),
            )
        await self._pool.open()
        found = await self._check.check()
        # This command's own pool is nobody's concern.
        return evolve(found, details=tuple(each for each in found.details if each[0] != "pool"))


def _print(component: ComponentHealth) -> None:
    head = f"{component.name:<10}  {component.status:<4}  {component.latency_us / 1_000:>8.1f} ms"
    facts = [f"{name}: {fact}" for name, fact in component.details]
    problems = [f"! {line}" for problem in component.problems for line in problem.splitlines()]
    typer.echo(f"{head}  {component.version or ''}".rstrip())
    for line in (*facts, *problems):
        typer.echo(f"    {line}")


def _document(report: HealthReport) -> dict[str, object]:
    return {
        "status": report.status,
        "checked_at": report.checked_at.isoformat(),
        "serves": report.short(),
        "components": [
            {
                "name": component.name,
                "status": component.status,
                "latency_us": component.latency_us,
                "version": component.version,
                "details": dict(component.details),
                "problems": component.problems,
            }
            for component in report.components
        ],
    }
