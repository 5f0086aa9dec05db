"""The contract of `TransitionOutbox`: which monitors have something on its way."""

from __future__ import annotations

from urlmon.domain.ids import MonitorId
from urlmon.errors import InvalidValueError
from urlmon.testing.contracts._transitions import LEASE, Monitor, Requests, exhaust
from urlmon.testing.contracts.isolation import assert_nil_refused, refusal_of
from urlmon.testing.contracts.stores import WorkingStores


class OnTheWayContract:
    """What every `TransitionOutbox` must hold where it is asked about monitors."""

    async def test_on_the_way(self, working: WorkingStores) -> None:
        """Monitors are named while a transition of theirs is neither settled nor given up."""
        monitor, other, requests = Monitor(working), Monitor(working), Requests(working)
        tenant_id, monitor_id = monitor.key
        ids = [monitor_id, other.key[1], monitor_id, MonitorId.new()]

        async def on_the_way() -> frozenset[MonitorId]:
            return await working.outbox.on_the_way(tenant_id, ids)

        assert await on_the_way() == frozenset()
        await monitor.change()
        await other.change()  # of another tenant
        assert await on_the_way() == {monitor_id}
        for claimed in await requests.claim():
            assert await on_the_way() == {monitor_id}
            if claimed.transition.monitor_id == other.key[1]:
                await working.outbox.settle(claimed)
        await working.advance(LEASE)
        await working.outbox.settle(await requests.one())
        assert await on_the_way() == frozenset()
        await monitor.change()
        await exhaust(working, requests)
        await requests.claim()
        assert await on_the_way() == frozenset()

    async def test_on_the_way_of_many(self, working: WorkingStores) -> None:
        """Up to 1,000 monitors can be asked for."""
        monitor, on_the_way = Monitor(working), working.outbox.on_the_way
        await monitor.change()
        tenant_id, monitor_id = monitor.key
        ids = [MonitorId.new() for _ in range(999)]
        assert await on_the_way(tenant_id, [*ids, monitor_id]) == {monitor_id}
        assert await on_the_way(tenant_id, []) == frozenset()
        error = await refusal_of(on_the_way(tenant_id, [monitor_id] * 1_001))
        assert isinstance(error, InvalidValueError)
        assert error.field == "monitor_ids"
        await assert_nil_refused(
            lambda nil: on_the_way(nil, [monitor_id]), lambda nil: on_the_way(nil, [])
        )
