"""The contract of forgetting check results, a part of `CheckResultStoreContract`."""

from __future__ import annotations

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.testing.builders import a_result
from urlmon.testing.contracts._recording import a_history, everything, record, whole_span
from urlmon.testing.contracts.isolation import assert_nil_refused
from urlmon.testing.contracts.stores import ResultStores


class ForgettingContract:
    """What `forget_monitor` deletes, and who sees what."""

    async def test_a_monitor_is_forgotten(self, recording: ResultStores) -> None:
        """All of its results go and nobody else's, however often; new ones are kept."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        await a_history(recording, tenant, monitor)
        others = [(tenant, MonitorId.new()), (TenantId.new(), monitor)]
        kept = [await a_history(recording, *other) for other in others]
        for _ in range(2):
            await recording.results.forget_monitor(tenant, monitor)
            assert await everything(recording, tenant, monitor) == ()
            assert await recording.results.latest(tenant, [monitor]) == {}
        assert [await everything(recording, *other) for other in others] == kept
        again = await a_history(recording, tenant, monitor)
        assert await everything(recording, tenant, monitor) == again

    async def test_a_foreign_tenant_is_like_none(self, recording: ResultStores) -> None:
        """Another tenant sees and deletes nothing, just as for a monitor that nobody has."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        history = await a_history(recording, tenant, monitor)
        other = TenantId.new()
        await record(
            recording, a_result(other, MonitorId.new(), scheduled_at=recording.clock.now())
        )
        for stranger, asked in ((other, monitor), (TenantId.new(), monitor), (tenant, None)):
            target = asked or MonitorId.new()
            assert await everything(recording, stranger, target) == ()
            assert await recording.results.latest(stranger, [target]) == {}
            await recording.results.forget_monitor(stranger, target)
        assert await everything(recording, tenant, monitor) == history

    async def test_the_nil_tenant_is_refused(self, recording: ResultStores) -> None:
        """Every method for one tenant refuses the nil UUID."""
        monitor = MonitorId.new()
        span = whole_span(recording)
        await assert_nil_refused(
            lambda nil: recording.results.latest(nil, [monitor]),
            lambda nil: recording.results.history(nil, [monitor], period=span),
            lambda nil: recording.results.forget_monitor(nil, monitor),
        )
