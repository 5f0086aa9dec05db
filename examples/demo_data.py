"""The demo's tenant and monitors: made on the first run, brought up to date on the next."""

from __future__ import annotations

from datetime import timedelta

from attrs import evolve

from urlmon import (
    ChannelId,
    ChannelKind,
    Monitor,
    MonitorId,
    NotificationChannel,
    Secret,
    Tenant,
    TenantId,
    TenantLimits,
)
from urlmon_adapters.container import PersistencePorts

SLUG = "demo"
INTERVAL = timedelta(seconds=1)


async def prepare(
    stores: PersistencePorts, pages: dict[str, str], hook: str | None
) -> tuple[TenantId, dict[MonitorId, Monitor]]:
    """Return the tenant and its monitors of `pages`; monitors of other pages are paused."""
    tenant_id = await _tenant(stores)
    channel_id = None if hook is None else await _channel(stores, tenant_id, hook)
    stored = {m.name: m for m in (await stores.monitors().list(tenant_id, limit=1000)).items}
    now = stores.clock().now()
    monitors: dict[MonitorId, Monitor] = {}
    for name, url in pages.items():
        wanted = Monitor(
            id=stored[name].id if name in stored else MonitorId.new(),
            tenant_id=tenant_id,
            name=name,
            url=url,
            interval=INTERVAL,
            timeout=INTERVAL,
            failure_threshold=2,
            recovery_threshold=2,
            channel_ids=() if channel_id is None else (channel_id,),
            created_at=now,
            updated_at=now,
        )
        if name in stored:
            wanted = evolve(wanted, version=stored[name].version)
            monitor = await stores.monitors().update(tenant_id, wanted)
        else:
            monitor = await stores.monitors().add(tenant_id, wanted)
        monitors[monitor.id] = monitor
        # The upkeep would do this a moment later; so the first check is made at once.
        await stores.schedule().upsert(
            tenant_id,
            monitor.id,
            interval=monitor.interval,
            locations=monitor.locations,
            version=monitor.version,
            at_once=True,
        )
    for name in stored.keys() - pages.keys():
        await stores.monitors().set_enabled(
            tenant_id, stored[name].id, enabled=False, at=now, reason="not part of this run"
        )
    return tenant_id, monitors


async def _tenant(stores: PersistencePorts) -> TenantId:
    found = await stores.tenants().find_by_slug(SLUG)
    if found is not None:
        return found.id
    now = stores.clock().now()
    limits = TenantLimits(max_monitors=100, shortest_interval=INTERVAL)
    tenant = Tenant(
        id=TenantId.new(), slug=SLUG, name="Demo", limits=limits, created_at=now, updated_at=now
    )
    return (await stores.tenants().add(tenant)).id


async def _channel(stores: PersistencePorts, tenant_id: TenantId, hook: str) -> ChannelId:
    """Return a webhook channel that posts to the local site, with a secret token."""
    now = stores.clock().now()
    channels = (await stores.channels().list(tenant_id)).items
    if channels:
        moved = evolve(channels[0], config={"url": hook}, updated_at=now)
        return (await stores.channels().update(tenant_id, moved)).id
    channel = NotificationChannel(
        id=ChannelId.new(),
        tenant_id=tenant_id,
        name="On call",
        kind=ChannelKind.WEBHOOK,
        config={"url": hook},
        created_at=now,
        updated_at=now,
    )
    token = {"token": Secret("demo-token")}
    return (await stores.channels().add(tenant_id, channel, secrets=token)).id
