"""The main calls of an application, over the real stores."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from urlmon import (
    Alert,
    AlertPolicy,
    CheckError,
    CheckResult,
    ErrorKind,
    Monitor,
    Period,
    Tenant,
)
from urlmon.domain.secrets import Secret
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon_adapters.container import PersistenceContainer, running
from urlmon_adapters.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from urlmon import NotificationChannel
    from urlmon.domain.alerting import AlertState
    from urlmon_adapters.container import PersistencePorts

KEY = {"URLMON_SECRET_KEY": base64.urlsafe_b64encode(b"a key for tests, 32 bytes long..").decode()}
SECRETS = {"token": Secret("a secret of the channel")}


@frozen(kw_only=True)
class Stored:
    """What `use` has stored."""

    tenant: Tenant
    monitor: Monitor
    channel: NotificationChannel
    result: CheckResult
    alert: Alert
    state: AlertState


@asynccontextmanager
async def opened(environment: Mapping[str, str]) -> AsyncIterator[PersistencePorts]:
    """Start the real stores with settings from these names alone."""
    async with running(PersistenceContainer(settings=Settings.load(environment))) as stores:
        yield stores


async def use(stores: PersistencePorts) -> Stored:
    """Do once what checkers, alerters and status pages do all the time."""
    tenant = await stores.tenants().add(a_tenant())
    channel = await stores.channels().add(tenant.id, a_channel(tenant.id), secrets=SECRETS)
    spare = await stores.channels().add(tenant.id, a_channel(tenant.id))
    await stores.channels().remove(tenant.id, spare.id)
    monitor = a_monitor(tenant.id, channel_ids=(channel.id,), failure_threshold=1)
    monitor = await stores.monitors().add(tenant.id, monitor)
    assert monitor in (await stores.directory().list_active()).items
    # What it has depends on others: a change waits for all older transactions of the server.
    assert (await stores.directory().changes()).next_cursor

    now = stores.clock().now()
    result = CheckResult(
        tenant_id=tenant.id,
        monitor_id=monitor.id,
        scheduled_at=now,
        checked_at=now,
        error=CheckError(kind=ErrorKind.STATUS, message="HTTP status 503"),
    )
    async with stores.locks().hold("upkeep", ttl=timedelta(seconds=30)) as lease:
        assert lease is not None
        waiter = asyncio.create_task(
            stores.locks().acquire("upkeep", ttl=timedelta(seconds=1), wait=timedelta(seconds=30))
        )
        (fate,) = await stores.check_results().record([result])
        assert fate.stored
    assert await waiter is not None
    decision = await stores.alert_state().record(
        tenant.id, result.outcome(), policy=AlertPolicy.of(monitor)
    )
    alert = await _act(stores, monitor)
    await read_again(
        stores,
        stored := Stored(
            tenant=tenant,
            monitor=monitor,
            channel=channel,
            result=result,
            alert=alert,
            state=decision.state,
        ),
    )
    return stored


async def read_again(stores: PersistencePorts, stored: Stored) -> None:
    """Find everything that was stored, in every store."""
    tenant_id, monitor_id = stored.tenant.id, stored.monitor.id
    assert await stores.tenants().get(tenant_id) == stored.tenant
    assert await stores.monitors().get(tenant_id, monitor_id) == stored.monitor
    assert await stores.channels().for_monitor(tenant_id, monitor_id) == (stored.channel,)
    assert await stores.channels().reveal(tenant_id, stored.channel.id) == SECRETS
    assert await stores.alerts().get(tenant_id, stored.alert.id) == stored.alert
    assert await stores.check_results().latest(tenant_id, [monitor_id]) == {
        monitor_id: stored.result
    }
    at = stored.result.scheduled_at
    period = Period(since=at - timedelta(minutes=1), until=at + timedelta(minutes=1))
    summaries = await stores.statistics().summary(
        tenant_id, {monitor_id: stored.monitor.interval}, period=period
    )
    assert summaries[monitor_id].statistics.uptime == 0
    assert await stores.alert_state().get(tenant_id, monitor_id) == stored.state


async def _act(stores: PersistencePorts, monitor: Monitor) -> Alert:
    """Take the transition over and open its alert, as an alerter does."""
    (claimed,) = await stores.outbox().claim(request_id="a request")
    begin = claimed.transition
    opening = await stores.alerts().open(
        monitor.tenant_id,
        Alert(
            id=begin.alert_id,
            tenant_id=monitor.tenant_id,
            monitor_id=monitor.id,
            cause=begin.cause,
            opened_at=begin.at,
        ),
    )
    assert opening.created
    await stores.outbox().settle(claimed)
    return opening.alert
