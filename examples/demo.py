"""The main job, start to finish, on real servers that this program runs itself.

Starts PostgreSQL, Redis and, where there is one, InfluxDB; migrates; checks health; makes a tenant
with monitors; runs `checker.py` and `alerter.py` as processes of their own, any of which may be
killed; and shows what they store.  The data stay in `.urlmon/demo`: the next run goes on with them.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.live import Live

from demo_data import prepare
from demo_services import inherited, running_services
from demo_view import View
from local_site import local_site
from urlmon import Monitor, MonitorId, Period, TenantId, UrlmonError
from urlmon_adapters.container import PersistenceContainer, running
from urlmon_adapters.health import check_health
from urlmon_adapters.servers import RunningServers, running_servers
from urlmon_adapters.settings import Settings

HERE = Path(__file__).parent


def main() -> None:
    """Run the demo; the exit status is 1 where something prevents it."""
    options = _options()
    console = Console()
    console.width = max(console.width, 100)
    started = time.monotonic()
    try:
        with console.status("Starting PostgreSQL, Redis and InfluxDB …") as status:
            servers = running_servers(options.folder, postgres_version=options.postgres)
            with servers as found:
                status.stop()
                environment = _announce(console, found, options.folder)
                asyncio.run(_demo(console, environment, options, started))
    except UrlmonError as exc:
        console.print(f"[red]The demo cannot go on:[/] {exc}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--urls", type=str.split, default=[], help="check these, not the site")
    parser.add_argument("--seconds", type=float, default=30, help="how long to check")
    parser.add_argument("--checkers", type=int, default=1)
    parser.add_argument("--alerters", type=int, default=1)
    parser.add_argument("--postgres", default="18", choices=["16", "18"])
    parser.add_argument("--folder", type=Path, default=HERE.parent / ".urlmon" / "demo")
    return parser.parse_args()


def _announce(console: Console, found: RunningServers, folder: Path) -> dict[str, str]:
    """Say which servers run; return the environment for everything that follows."""
    for name, what in found.running.items():
        console.print(f"  [green]✓[/] {name} {what}")
    for name, why in found.missing.items():
        console.print(f"  [yellow]-[/] {name}: {why}")
    if "InfluxDB" in found.missing:
        console.print("    Check results go to PostgreSQL. `make influxd` gets an InfluxDB, once.")
    return {**found.environment, "URLMON_SECRET_KEY": _secret_key(folder), "URLMON_MIGRATE": "run"}


def _secret_key(folder: Path) -> str:
    """Return the key of this folder's data; made on the first run."""
    file = folder / "secret.key"
    with suppress(FileExistsError), open(file, "xb", opener=_private) as made:
        made.write(base64.urlsafe_b64encode(secrets.token_bytes(32)))
    return file.read_text()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


async def _demo(
    console: Console, environment: dict[str, str], options: argparse.Namespace, started: float
) -> None:
    settings = Settings.load({**inherited(), **environment})
    async with (
        running(PersistenceContainer(settings=settings)) as stores,
        _pages(options.urls) as (pages, hook),
    ):
        view = View(stores)
        report = await check_health(stores.health_checks(), clock=stores.clock())
        console.print(view.health(report))
        tenant_id, monitors = await prepare(stores, pages, hook)
        stop = _stop_at_signals()  # before there is anything that has to be ended in good order
        async with running_services(environment, options) as services:
            view.services = services
            begun = stores.clock().now()
            await _watch(console, view, options.seconds, tenant_id, monitors, started, stop)
            period = Period(since=begun, until=stores.clock().now())
        console.print(await view.summary(tenant_id, monitors, period))
        console.print(view.next_steps(options.folder, influxdb=settings.influxdb is not None))


@asynccontextmanager
async def _pages(urls: list[str]) -> AsyncIterator[tuple[dict[str, str], str | None]]:
    """Give the pages to check by name, and where notifications can be posted to."""
    if urls:
        yield {url: url for url in urls}, None
    else:
        async with local_site() as site:
            yield site.pages, site.hook


def _stop_at_signals() -> asyncio.Event:
    """Return what Ctrl-C and a request to end set from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _watch(
    console: Console,
    view: View,
    seconds: float,
    tenant_id: TenantId,
    monitors: dict[MonitorId, Monitor],
    started: float,
    stop: asyncio.Event,
) -> None:
    """Show the live table until the time is over or Ctrl-C, and take one alert on by hand."""
    deadline = time.monotonic() + seconds
    first_result_at: float | None = None
    with Live(console=console, auto_refresh=False) as live:
        while not stop.is_set() and time.monotonic() < deadline:
            left = max(0, round(deadline - time.monotonic()))
            live.update(await view.table(tenant_id, monitors, seconds_left=left), refresh=True)
            if first_result_at is None and view.any_result:
                first_result_at = time.monotonic() - started
            await view.acknowledge_one(tenant_id)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.5)
    if first_result_at is not None:
        console.print(f"\nThe first result was stored {first_result_at:.1f} s after the start.")


if __name__ == "__main__":
    main()
