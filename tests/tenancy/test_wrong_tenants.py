"""Every method of every port, found by reflection, called by tenants that it is not for."""

from __future__ import annotations

import inspect
import re
import secrets
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve, frozen
from dependency_injector import providers
from tests.fixtures.relational import a_key
from tests.fixtures.working import remove_keys
from tests.integration.test_container import PORTS

import urlmon.ports
from urlmon.domain.alerting import UNKNOWN, AlertPolicy, AlertState, MonitorStatus
from urlmon.domain.alerts import Alert
from urlmon.domain.channels import NotificationChannel
from urlmon.domain.check_results import CheckError, ErrorKind
from urlmon.domain.counters import FailureCount
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.monitors import Monitor
from urlmon.domain.periods import Period
from urlmon.domain.secrets import Secret
from urlmon.domain.sessions import Login, new_session_token
from urlmon.domain.tenants import TenantStatus
from urlmon.errors import UrlmonError
from urlmon.testing.builders import (
    a_channel,
    a_monitor,
    a_result,
    a_tenant,
    an_alert,
    an_outcome,
)
from urlmon.testing.monitors import InMemoryMonitorRepo
from urlmon_adapters.container import PersistenceContainer, running
from urlmon_adapters.redis import Keys
from urlmon_adapters.settings import Settings
from urlmon_adapters.testing import InMemoryContainer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from urlmon_adapters.container import PersistencePorts

NOW: Final = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
PERIOD: Final = Period(since=NOW - timedelta(days=1), until=NOW + timedelta(days=1))
POLICY: Final = AlertPolicy(failure_threshold=1)
DAY: Final = timedelta(days=1)
ERROR: Final = CheckError(kind=ErrorKind.OTHER, message="planted")
ANY_ID: Final = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")


@frozen
class Household:
    """What a tenant has, or what nobody has where it was not moved in."""

    tenant_id: TenantId
    monitor: Monitor
    channel: NotificationChannel
    alert: Alert


def a_household() -> Household:
    """Make one that exists nowhere."""
    tenant_id = TenantId.new()
    channel = a_channel(tenant_id)
    monitor = a_monitor(tenant_id, channel_ids=(channel.id,))
    return Household(tenant_id, monitor, channel, an_alert(tenant_id, monitor.id, opened_at=NOW))


async def move_in(ports: PersistencePorts, home: Household) -> None:
    """Store all that a household has."""
    tenant_id, monitor_id = home.tenant_id, home.monitor.id
    await ports.tenants().add(a_tenant(id=tenant_id))
    await ports.channels().add(tenant_id, home.channel, secrets={"token": Secret("canary")})
    await ports.monitors().add(tenant_id, home.monitor)
    await ports.alerts().open(tenant_id, home.alert)
    await ports.check_results().record([a_result(tenant_id, monitor_id, scheduled_at=NOW)])
    outcome = an_outcome(tenant_id, monitor_id, scheduled_at=NOW)
    await ports.alert_state().record(tenant_id, outcome, policy=POLICY)
    await ports.counters().record(tenant_id, monitor_id, scheduled_at=NOW, success=False, ttl=DAY)
    login = await ports.sessions().begin(tenant_id, str(tenant_id))
    await ports.sessions().create(tenant_id, login, ttl=DAY, lifetime=DAY)
    cached, hour = b"canary", timedelta(hours=1)
    await ports.cache().set(tenant_id, "pages", str(monitor_id), value=cached, ttl=hour)


async def belongings(ports: PersistencePorts, home: Household) -> tuple[object, ...]:
    """Return what a household sees of itself."""
    tenant_id, monitor_id = home.tenant_id, home.monitor.id
    return (
        await ports.tenants().get(tenant_id),
        await ports.monitors().list(tenant_id),
        await ports.directory().get(tenant_id, monitor_id),
        await ports.channels().list(tenant_id),
        await ports.channels().reveal(tenant_id, home.channel.id),
        await ports.alerts().list(tenant_id),
        await ports.check_results().history(tenant_id, [monitor_id], period=PERIOD),
        await ports.alert_state().get(tenant_id, monitor_id),
        await ports.counters().get(tenant_id, monitor_id),
        await ports.sessions().list(tenant_id, str(tenant_id)),
        await ports.cache().get(tenant_id, "pages", str(monitor_id)),
    )


async def _load() -> bytes:
    return b"loaded by an intruder"


def arguments(intruder: TenantId, of: Household) -> dict[str, Any]:
    """Return, by the names of parameters, what a tenant passes to reach another's household."""
    monitor_id = of.monitor.id
    return {
        "tenant_id": intruder,
        "monitor_id": monitor_id,
        "monitor_ids": [monitor_id],
        "intervals": {monitor_id: timedelta(minutes=1)},
        "monitor": evolve(of.monitor, tenant_id=intruder, channel_ids=()),
        "channel_id": of.channel.id,
        "channel": evolve(of.channel, tenant_id=intruder),
        "alert_id": of.alert.id,
        "alert": evolve(of.alert, tenant_id=intruder),
        "outcome": an_outcome(intruder, monitor_id, scheduled_at=NOW + timedelta(minutes=1)),
        "results": [
            a_result(intruder, monitor_id, scheduled_at=NOW, error=ERROR, status_code=None)
        ],
        "policy": POLICY,
        "known": UNKNOWN,
        "state": AlertState(status=MonitorStatus.UP, since=NOW),
        "status": TenantStatus.SUSPENDED,
        "period": PERIOD,
        "width": timedelta(hours=1),
        "first": date(2026, 1, 1),
        "last": date(2026, 1, 2),
        "at": NOW,
        "until": NOW,
        "by": "an intruder",
        "count": FailureCount(watermark=NOW),
        "number": 99,
        "interval": timedelta(hours=1),
        "version": 1,
        "enabled": False,
        "namespace": "pages",
        "key": str(monitor_id),
        "value": b"an intruder's",
        "load": _load,
        "ttl": timedelta(hours=1),
        "scheduled_at": NOW,
        "success": True,
        "user_id": str(of.tenant_id),
        "session_id": "0" * 64,
        "login": Login(
            tenant_id=of.tenant_id,
            user_id=str(of.tenant_id),
            token=new_session_token(of.tenant_id, str(of.tenant_id)),
            generation=1,
            until=NOW,
        ),
        "lifetime": DAY,
    }


async def answer(ports: PersistencePorts, method: str, intruder: TenantId, of: Household) -> str:
    """Call a method of a port; return its answer or its error, with every id left out."""
    port, _, name = method.partition(".")
    provider = next(noun for noun, kind in PORTS.items() if kind.__name__ == port)
    function = getattr(getattr(ports, provider)(), name)
    known = arguments(intruder, of)
    positional, named = [], {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "status" and parameter.default is None:
            continue  # a filter of a list: without it there is more to find
        if parameter.name == "enabled" and parameter.default is None:
            continue
        if parameter.name not in known:
            assert parameter.default is not parameter.empty, f"{method}: give {parameter.name}"
        elif parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = known[parameter.name]
        else:
            positional.append(known[parameter.name])
    try:
        found = await function(*positional, **named)
    except UrlmonError as exc:
        found = type(exc), str(exc), sorted(vars(exc).items())
    return ANY_ID.sub("…", repr(found))


METHODS: Final = [
    f"{name}.{method}"
    for name in urlmon.ports.__all__
    if inspect.isclass(port := getattr(urlmon.ports, name))
    for method in sorted(vars(port))
    if not method.startswith("_") and inspect.isfunction(vars(port)[method])
    if f"{name}.{method}" not in urlmon.ports.CROSS_TENANT - {"CheckResultStore.record"}
]


@pytest.fixture(params=["fakes", "postgresql", "influxdb"])
async def ports(request: pytest.FixtureRequest) -> AsyncIterator[PersistencePorts]:
    """The ports over the fakes, or over real stores with the least rights."""
    if request.param == "fakes":
        container = InMemoryContainer()
        container.clock().advance(NOW - container.clock().now())
        yield container
        return
    environ = {
        "DATABASE_URL": request.getfixturevalue("postgres_service_url"),
        "REDIS_URL": request.getfixturevalue("redis_url"),
        "URLMON_REDIS_NAMESPACE": f"test-{secrets.token_hex(8)}:",
        "URLMON_SECRET_KEY": a_key().reveal(),
    }
    if request.param == "influxdb":
        server = request.getfixturevalue("influx_server")
        environ |= {
            "INFLUXDB_URL": server.url,
            "INFLUXDB_TOKEN": server.token,
            "INFLUXDB_ORG": server.org,
            "INFLUXDB_BUCKET": f"test-{secrets.token_hex(8)}",
        }
    async with running(PersistenceContainer(settings=Settings.load(environ))) as opened:
        yield opened
    await remove_keys(environ["REDIS_URL"], Keys(environ["URLMON_REDIS_NAMESPACE"]))


@pytest.mark.parametrize("known", [True, False], ids=["another tenant", "no tenant"])
async def test_a_wrong_tenant(ports: PersistencePorts, *, known: bool) -> None:
    """What belongs to another is met like what does not exist, and stays as it is."""
    victim = a_household()
    await move_in(ports, victim)
    before = await belongings(ports, victim)
    for method in METHODS:
        answers = []
        for target in (victim, a_household()):
            intruder = a_household()
            if known:
                await move_in(ports, intruder)
            answers.append(await answer(ports, method, intruder.tenant_id, target))
        assert answers[0] == answers[1], method
        assert "canary" not in answers[0], method
        assert await belongings(ports, victim) == before, method


def test_every_method_is_called() -> None:
    """The walk meets every method that takes a tenant, and the batches that carry one."""
    assert len(METHODS) == len(set(METHODS))
    assert len(METHODS) >= 40
    assert {"CheckResultStore.record", "MonitorRepo.get", "AlertStateCache.forget"} <= set(METHODS)


class _LeakyMonitorRepo(InMemoryMonitorRepo):
    """Looks a monitor up by its id, whosever it is."""

    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> Monitor:
        for monitor in self._state.monitors.values():
            if monitor.id == monitor_id:
                return monitor
        return await super().get(tenant_id, monitor_id)


async def test_the_walk_finds_a_leak() -> None:
    """A leak that is planted in one method makes another tenant's row differ from no row."""
    container = InMemoryContainer()
    victim, intruder = a_household(), a_household()
    await move_in(container, victim)
    method = "MonitorRepo.get"
    nowhere = await answer(container, method, intruder.tenant_id, intruder)
    assert await answer(container, method, intruder.tenant_id, victim) == nowhere
    container.monitors.override(providers.Object(_LeakyMonitorRepo(container.state())))
    assert await answer(container, method, intruder.tenant_id, victim) != nowhere
