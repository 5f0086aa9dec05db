"""The example services, killed again and again: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import sys
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from aiohttp import web
from attrs import define, field
from tests.fixtures.working import remove_keys

from urlmon import (
    Alert,
    AlertStatus,
    ChannelId,
    ChannelKind,
    Monitor,
    MonitorId,
    NotificationChannel,
    Period,
    Secret,
    TenantLimits,
)
from urlmon.domain.scheduling import Grid
from urlmon.testing.builders import a_monitor, a_tenant
from urlmon_adapters.container import PersistenceContainer, running
from urlmon_adapters.redis import Keys
from urlmon_adapters.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from urlmon.domain.check_results import CheckResult
    from urlmon.domain.tenants import Tenant
    from urlmon_adapters.container import PersistencePorts

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
SECOND: Final = timedelta(seconds=1)
LEASE: Final = 3 * SECOND
"""Of the example checker."""
PATIENCE: Final = 5 * SECOND
"""By how much this machine may be late, beyond the end of a lease."""
MONITORS: Final = 12
BREAKING: Final = 6
CHECKERS: Final = 5
ALERTERS: Final = 4

pytestmark = [pytest.mark.timeout(300), pytest.mark.redis]


@define
class Site:
    """A site, some pages of which are down while it says so; and a receiver of notifications."""

    url: str = ""
    is_broken: bool = False
    received: list[dict[str, Any]] = field(factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Site]:
        """Serve while the block runs."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/fine/{number}", self._fine),
                web.get("/breaking/{number}", self._breaking),
                web.post("/hook", self._hook),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[-1][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _fine(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _breaking(self, _: web.Request) -> web.Response:
        await asyncio.sleep(0.1)  # so that kills meet checks
        return web.Response(status=500 if self.is_broken else 200)

    async def _hook(self, request: web.Request) -> web.Response:
        self.received.append(await request.json())
        await asyncio.sleep(0.1)
        return web.Response(status=204)


class Fleet:
    """Processes of the examples, which are killed one after the other."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._processes: dict[asyncio.subprocess.Process, str] = {}

    async def start(self, program: str) -> None:
        """Start one, and return when it is ready."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLES / f"{program}.py"),
            "--with-parent",
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._processes[process] = program
        assert process.stdout is not None
        assert await process.stdout.readline() == f"{program}: ready\n".encode()

    async def kill_one(self, program: str) -> None:
        """Kill one as kill -9 does; the others have to go on."""
        process = next(each for each, name in self._processes.items() if name == program)
        del self._processes[process]
        process.kill()
        await process.communicate()

    async def stop(self) -> None:
        """Ask all to end, and see that they do."""
        for process in self._processes:
            process.terminate()
        for process, program in self._processes.items():
            output, _ = await process.communicate()
            assert output.startswith(f"{program}: stopped".encode())

    async def kill_all(self) -> None:
        """Leave none behind, whatever happened."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
                await process.communicate()


async def test_kills(postgres_url: str, redis_url: str) -> None:
    """Checkers and alerters that are killed at any moment lose and double nothing."""
    namespace = f"test-{secrets.token_hex(8)}:"
    settings = {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": redis_url,
        "URLMON_REDIS_NAMESPACE": namespace,
        "URLMON_SECRET_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    }
    dice = random.Random(7)  # noqa: S311 - a failure must be repeatable
    kept = {name: value for name, value in os.environ.items() if not name.startswith("URLMON_")}
    fleet, site = Fleet({**kept, **settings}), Site()
    container = PersistenceContainer(settings=Settings.load(settings))
    async with running(container) as stores, site.serving():
        tenant, monitors = await _prepare(stores, site)
        try:
            programs = ["checker"] * CHECKERS + ["alerter"] * ALERTERS
            await asyncio.gather(*(fleet.start(program) for program in programs))
            victims = ["checker"] * (CHECKERS - 1) + ["alerter"] * (ALERTERS - 1)
            dice.shuffle(victims)
            await asyncio.sleep(2)
            for number, victim in enumerate(victims):
                site.is_broken = 1 <= number < len(victims) - 2
                await asyncio.sleep(1 + dice.random())
                await fleet.kill_one(victim)
            await _all_told(stores, tenant)
            until = datetime.now(UTC)
            await fleet.stop()
        finally:
            await fleet.kill_all()
        _assert_checked(monitors, await _results(stores, tenant, monitors), until=until)
        alerts = (await stores.alerts().list(tenant.id, limit=1000)).items
        _assert_alerted(monitors, alerts)
        _assert_notified(alerts, site.received, kills=ALERTERS - 1)
        assert await stores.outbox().dead_letters() == ()
    await remove_keys(redis_url, Keys(namespace))


async def _prepare(stores: PersistencePorts, site: Site) -> tuple[Tenant, list[Monitor]]:
    """Add monitors that are checked every second, half of them of pages that will break."""
    limits = TenantLimits(shortest_interval=SECOND)
    tenant = await stores.tenants().add(a_tenant(limits=limits))
    now = stores.clock().now()
    channel = NotificationChannel(
        id=ChannelId.new(),
        tenant_id=tenant.id,
        name="hook",
        kind=ChannelKind.WEBHOOK,
        config={"url": f"{site.url}/hook"},
        created_at=now,
        updated_at=now,
    )
    await stores.channels().add(tenant.id, channel, secrets={"token": Secret("token")})
    monitors = [
        a_monitor(
            tenant.id,
            name=f"{kind} {number}",
            url=f"{site.url}/{kind}/{number}",
            interval=SECOND,
            timeout=SECOND,
            failure_threshold=2,
            channel_ids=(channel.id,),
        )
        for number in range(MONITORS)
        for kind in ["breaking" if number < BREAKING else "fine"]
    ]
    return tenant, [await stores.monitors().add(tenant.id, monitor) for monitor in monitors]


async def _all_told(stores: PersistencePorts, tenant: Tenant) -> None:
    """Wait until every alert has ended and all is told."""
    async with asyncio.timeout(120):
        while True:
            ended = await stores.alerts().list(tenant.id, status=AlertStatus.RESOLVED)
            if len(ended.items) >= BREAKING and not await stores.outbox().backlog():
                return
            await asyncio.sleep(0.2)


async def _results(
    stores: PersistencePorts, tenant: Tenant, monitors: list[Monitor]
) -> dict[MonitorId, list[datetime]]:
    """Return when the checks were due whose results are stored, oldest first."""
    now = stores.clock().now()
    period = Period(since=now - timedelta(hours=1), until=now + timedelta(minutes=1))
    found = defaultdict[MonitorId, list[datetime]](list)
    cursor: str | None = None
    while True:
        page = await stores.check_results().history(
            tenant.id, [each.id for each in monitors], period=period, cursor=cursor, limit=1000
        )
        results: tuple[CheckResult, ...] = page.items
        for each in results:
            found[each.monitor_id].insert(0, each.scheduled_at)
        cursor = page.next_cursor
        if cursor is None:
            return found


def _assert_checked(
    monitors: list[Monitor], results: dict[MonitorId, list[datetime]], *, until: datetime
) -> None:
    """Each monitor was checked once a slot, and no pause was longer than a lease explains."""
    longest = LEASE + SECOND + PATIENCE
    for monitor in monitors:
        grid, slots = Grid.of(monitor.id, monitor.interval), results[monitor.id]
        assert slots == sorted(set(slots))
        assert all(slot == grid.at_or_before(slot) for slot in slots)
        pauses = [after - before for before, after in zip(slots, [*slots[1:], until], strict=True)]
        assert max(pauses) <= longest, monitor.name
        assert len(slots) > (until - slots[0]) / SECOND / 2


def _assert_alerted(monitors: list[Monitor], alerts: tuple[Alert, ...]) -> None:
    """What broke has one alert, which has ended; nothing else has any."""
    broken = {each.id for each in monitors if each.name.startswith("breaking")}
    assert Counter(alert.monitor_id for alert in alerts) == Counter(broken)
    assert {alert.status for alert in alerts} == {AlertStatus.RESOLVED}


def _assert_notified(
    alerts: tuple[Alert, ...], received: list[dict[str, Any]], *, kills: int
) -> None:
    """Both ends of every alert were told, and again only after a kill, by the same id."""
    told = Counter(str(each["id"]) for each in received)
    kinds = ("triggered", "resolved")
    assert set(told) == {f"{alert.id}:{kind}" for alert in alerts for kind in kinds}
    claims_of_the_killed = 10 * kills
    assert told.total() - len(told) <= claims_of_the_killed
    first = {str(each["id"]): number for number, each in reversed([*enumerate(received)])}
    for alert in alerts:
        assert first[f"{alert.id}:triggered"] < first[f"{alert.id}:resolved"]
