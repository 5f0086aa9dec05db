"""Run by the packaging test in an environment that has the wheel alone."""

from __future__ import annotations

import asyncio
import os

from urlmon import (
    AlertPolicy,
    CheckError,
    CheckResult,
    ErrorKind,
    Monitor,
    MonitorId,
    Tenant,
    TenantId,
)
from urlmon_adapters.container import PersistenceContainer, running
from urlmon_adapters.health import check_health
from urlmon_adapters.settings import Settings


async def main() -> None:
    """Store a failed check and print how its monitor stands, and how the stores are."""
    async with running(PersistenceContainer(settings=Settings.load(os.environ))) as stores:
        now = stores.clock().now()
        tenant = Tenant(id=TenantId.new(), slug="smoke", name="S", created_at=now, updated_at=now)
        monitor = Monitor(
            id=MonitorId.new(),
            tenant_id=tenant.id,
            name="Shop",
            url="https://shop.example",
            created_at=now,
            updated_at=now,
        )
        await stores.tenants().add(tenant)
        await stores.monitors().add(tenant.id, monitor)
        result = CheckResult(
            tenant_id=tenant.id,
            monitor_id=monitor.id,
            scheduled_at=now,
            checked_at=now,
            error=CheckError(kind=ErrorKind.STATUS),
        )
        await stores.check_results().record([result])
        assert await stores.check_results().latest(tenant.id, [monitor.id]) == {monitor.id: result}
        policy = AlertPolicy(failure_threshold=1)
        decision = await stores.alert_state().record(tenant.id, result.outcome(), policy=policy)
        report = await check_health(stores.health_checks(), clock=stores.clock())
        print(decision.state.status, report.short())  # noqa: T201


asyncio.run(main())
