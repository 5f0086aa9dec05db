"""The sweep, over the fakes: what it deletes, when it looks again, and what a failure leaves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import frozen

from urlmon.domain.ids import TenantId
from urlmon.domain.monitors import Monitor
from urlmon.domain.tenants import TenantLimits
from urlmon.errors import UnavailableError
from urlmon.services.sweep import Sweep
from urlmon.testing.builders import a_monitor, a_result, a_tenant
from urlmon.testing.check_results import InMemoryCheckResultStore
from urlmon.testing.clock import FakeClock
from urlmon.testing.monitors import InMemoryMonitorRepo
from urlmon.testing.removals import InMemoryRemovals
from urlmon.testing.state import InMemoryState
from urlmon.testing.tenants import InMemoryTenantRepo
from urlmon_adapters.testing import InMemoryContainer

_GRACE = timedelta(days=90)


@frozen
class Application:
    """The fakes that a sweep works on, and the sweep."""

    state: InMemoryState
    clock: FakeClock
    sweep: Sweep

    async def monitor(self, tenant_id: TenantId) -> Monitor:
        """Add a monitor with a result."""
        monitor = await InMemoryMonitorRepo(self.state).add(tenant_id, a_monitor(tenant_id))
        await self.record(monitor)
        return monitor

    async def record(self, monitor: Monitor) -> None:
        """Record a result that is due now."""
        result = a_result(monitor.tenant_id, monitor.id, scheduled_at=self.clock.now())
        (fate,) = await InMemoryCheckResultStore(self.state).record([result])
        assert fate.stored

    def results(self, monitor: Monitor) -> int:
        """Count the results of a monitor."""
        key = monitor.tenant_id, monitor.id
        return sum(identity[:2] == key for identity in self.state.results)


@pytest.fixture
def application() -> Application:
    """Nothing yet."""
    clock = FakeClock()
    state = InMemoryState(clock=clock, retention=_GRACE)
    results = InMemoryCheckResultStore(state)
    return Application(state, clock, Sweep(InMemoryRemovals(state), results, clock, grace=_GRACE))


async def _tenant(application: Application) -> TenantId:
    return (await InMemoryTenantRepo(application.state).add(a_tenant())).id


async def test_results_of_what_was_removed(application: Application) -> None:
    """A removed monitor's results go, and those of a removed tenant's monitors; no others."""
    removed, kept = await _tenant(application), await _tenant(application)
    gone = [await application.monitor(removed) for _ in range(50)]
    gone.append(await application.monitor(kept))
    stays = await application.monitor(kept)
    await InMemoryTenantRepo(application.state).remove(removed)
    await InMemoryMonitorRepo(application.state).remove(kept, gone[-1].id)
    await application.sweep.run()
    assert [application.results(monitor) for monitor in gone] == [0] * 51
    assert application.results(stays) == 1


async def test_a_step_is_bounded(application: Application) -> None:
    """A step takes up 200 monitors at most, and says whether there may be more."""
    limits = TenantLimits(max_monitors=210)
    tenant_id = (await InMemoryTenantRepo(application.state).add(a_tenant(limits=limits))).id
    monitors = [await application.monitor(tenant_id) for _ in range(210)]
    for monitor in monitors:
        await InMemoryMonitorRepo(application.state).remove(tenant_id, monitor.id)
    left = []
    for more in (True, True, False):
        assert await application.sweep.step() is more
        left.append(sum(map(application.results, monitors)))
    assert left == [10, 0, 0]


async def test_late_results(application: Application) -> None:
    """What arrives after the removal goes too, until no store would take it any more."""
    tenant_id = await _tenant(application)
    monitor = await application.monitor(tenant_id)
    await InMemoryMonitorRepo(application.state).remove(tenant_id, monitor.id)
    removed_at = application.clock.now()
    ages = []
    while application.state.removed:
        ages.append((application.clock.now() - removed_at) // timedelta(hours=1))
        await application.record(monitor)
        await application.sweep.run()
        assert application.results(monitor) == 0
        for _, due_at in application.state.removed.values():
            application.clock.advance(due_at - application.clock.now())
    assert ages == [0, 1, 8, 64, 512, 90 * 24]


async def test_a_monitor_that_is_added_again(application: Application) -> None:
    """The sweep leaves it alone, with what it had."""
    tenant_id = await _tenant(application)
    monitor = await application.monitor(tenant_id)
    repo = InMemoryMonitorRepo(application.state)
    await repo.remove(tenant_id, monitor.id)
    await repo.add(tenant_id, monitor)
    await application.sweep.run()
    assert application.results(monitor) == 1


async def test_a_store_that_fails(application: Application) -> None:
    """The error reaches the caller, and what was under way is taken up again in ten minutes."""
    tenant_id = await _tenant(application)
    monitor = await application.monitor(tenant_id)
    await InMemoryMonitorRepo(application.state).remove(tenant_id, monitor.id)
    with (
        application.state.faults.fail("CheckResultStore.forget_monitor"),
        pytest.raises(UnavailableError),
    ):
        await application.sweep.run()
    await application.sweep.run()
    assert application.results(monitor) == 1, "somebody else may still be at it"
    application.clock.advance(timedelta(minutes=10))
    await application.sweep.run()
    assert application.results(monitor) == 0


async def test_an_application_has_one() -> None:
    """The container's sweep works on the container's ports, for as long as results are kept."""
    stores = InMemoryContainer()
    application = Application(stores.state(), stores.clock(), stores.sweep())
    tenant_id = await _tenant(application)
    monitor = await application.monitor(tenant_id)
    await stores.monitors().remove(tenant_id, monitor.id)
    await application.sweep.run()
    assert application.results(monitor) == 0
    application.clock.advance(stores.retention())
    await application.sweep.run()
    assert not application.state.removed
