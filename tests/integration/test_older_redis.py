"""A Redis that comes back with older data, as from a backup: noticed, and brought up to date."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.upkept import act
from tests.fixtures.waiting import until_so

from urlmon.domain.alerting import AlertPolicy
from urlmon.domain.check_results import CheckError, ErrorKind
from urlmon.testing.builders import a_monitor, a_result, a_tenant
from urlmon_adapters.container import PersistenceContainer, running
from urlmon_adapters.settings import Settings

if TYPE_CHECKING:
    from urlmon.domain.ids import AlertId, TenantId
    from urlmon.domain.monitors import Monitor
    from urlmon_adapters.container import PersistencePorts
    from urlmon_adapters.servers import RedisServer

FAILED = CheckError(kind=ErrorKind.STATUS, message="HTTP status 500")


class Site:
    """A tenant with monitors on real stores, each checked once a second from an hour ago on."""

    def __init__(self, stores: PersistencePorts, tenant_id: TenantId) -> None:
        self.stores = stores
        self.tenant_id = tenant_id
        self._at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)

    async def monitor(self) -> Monitor:
        """Add a monitor that is up, and on the schedule."""
        monitor = a_monitor(self.tenant_id, failure_threshold=1, interval=timedelta(seconds=60))
        await self.stores.monitors().add(self.tenant_id, monitor)
        await self.stores.schedule().upsert(
            self.tenant_id, monitor.id, interval=monitor.interval, version=monitor.version
        )
        await self.check(monitor, "+")
        return monitor

    async def check(self, monitor: Monitor, pattern: str) -> None:
        """Record outcomes: + is a success, - a failure."""
        for sign in pattern:
            self._at += timedelta(seconds=1)
            error = None if sign == "+" else FAILED
            result = a_result(*_key(monitor), scheduled_at=self._at, error=error)
            await self.stores.check_results().record([result])
            await self.stores.alert_state().record(
                self.tenant_id, result.outcome(), policy=AlertPolicy.of(monitor)
            )

    async def known(self, monitors: list[Monitor]) -> list[AlertId | None]:
        """Return the open alerts that the working state knows."""
        ids = [each.id for each in monitors]
        states = await self.stores.alert_state().get_many(self.tenant_id, ids)
        return [states[each].open_alert for each in ids]

    async def recorded(self, monitors: list[Monitor]) -> list[AlertId | None]:
        """Return the open alerts that the record knows."""
        opened = await self.stores.alerts().open_for(self.tenant_id, [each.id for each in monitors])
        return [opened[each.id][0].id if each.id in opened else None for each in monitors]


def _key(monitor: Monitor) -> tuple[object, ...]:
    return monitor.tenant_id, monitor.id


@pytest.mark.redis
async def test_older_data(
    postgres_url: str, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has the upkeep finds it by himself: no alert is lost, and none is opened twice."""
    caplog.set_level(logging.INFO, "urlmon.upkeep")
    environment = {"DATABASE_URL": postgres_url, "REDIS_URL": own_redis.url}
    async with running(PersistenceContainer(settings=Settings.load(environment))) as stores:
        tenant = await stores.tenants().add(a_tenant())
        site = Site(stores, tenant.id)
        calm, begun, ended, another, waiting, removed = monitors = [
            await site.monitor() for _ in range(6)
        ]
        for monitor in (ended, another, removed):
            await site.check(monitor, "-")
        before = Counter(await act(stores))
        await site.check(waiting, "-")
        (gone,) = await site.recorded([removed])
        with own_redis.driver() as redis:
            redis.save()

        await site.check(begun, "-")
        await site.check(ended, "+")
        await site.check(another, "+-")
        told = before + Counter(await act(stores))
        assert set(told.values()) == {1}
        added = await site.monitor()
        await stores.monitors().remove(tenant.id, removed.id)
        opened = await site.recorded(monitors := [calm, begun, ended, another, waiting, added])
        own_redis.kill()
        own_redis.start()  # with what was saved
        whole = stores.working_state().is_whole
        await asyncio.gather(*(until_so(whole) for _ in range(10)))  # on each connection

        older = await site.known(monitors)
        assert [known == right for known, right in zip(older, opened, strict=True)] == [
            True, False, False, False, True, True,
        ]  # fmt: skip
        again = Counter(await act(stores))

        async def agree() -> bool:
            return await site.known(monitors) == opened

        await until_so(agree)
        # At least once: what waited in the older data is told again, by the same name.
        assert again.keys() < told.keys()
        assert await site.recorded(monitors) == opened
        assert caplog.text.count("in the record: restored") == 3
        assert "3 monitors had older alerts" in caplog.text
        assert (await stores.schedule().backlog()).scheduled == 6
        assert await site.known([removed]) == [None]
        assert await act(stores) == [f"{gone}:resolved"]

        await site.check(ended, "-")  # is not passed over in silence
        (trigger,) = await act(stores)
        assert trigger not in told
        for monitor in monitors:
            await site.check(monitor, "+")
        ends = await act(stores)
        names = {f"{each}:resolved" for each in opened if each is not None}
        assert {*ends} == names | {trigger.replace("triggered", "resolved")}
        assert await site.recorded(monitors) == await site.known(monitors) == [None] * 6
