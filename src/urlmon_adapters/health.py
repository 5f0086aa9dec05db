"""Asks all stores how they are, at once, each within a time limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

from urlmon.domain.health import ComponentHealth, HealthReport, HealthStatus
from urlmon.ports import Clock, HealthCheck


async def check_health(
    checks: Sequence[HealthCheck], *, clock: Clock, time_limit: timedelta = timedelta(seconds=5)
) -> HealthReport:
    """Run health checks concurrently.

    Args:
        checks: One a store.
        clock: Dates the report.
        time_limit: How long each may take; one that takes longer is a failure.

    Returns:
        One component a check, in their order.  A sick store is a result, never an exception.
    """
    checked_at = clock.now()
    components = await asyncio.gather(*(_check(check, time_limit) for check in checks))
    return HealthReport(checked_at=checked_at, components=tuple(components))


async def _check(check: HealthCheck, time_limit: timedelta) -> ComponentHealth:
    started = time.monotonic()
    try:
        async with asyncio.timeout(time_limit.total_seconds()):
            return await check.check()
    except TimeoutError:
        problem = f"no answer within {time_limit.total_seconds():g} s: is the server overloaded?"
    except Exception as exc:  # noqa: BLE001 - a fault of a check is a result as well
        problem = f"the check itself failed with {type(exc).__name__}"
    return ComponentHealth(
        name=check.name,
        status=HealthStatus.FAIL,
        latency_us=int((time.monotonic() - started) * 1_000_000),
        problems=(problem,),
    )
