"""Random programs on check results: the fake and PostgreSQL give the same answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.fixtures.recording import RETENTION
from tests.fixtures.recording_twins import RecordingTwins, run_recording_program
from tests.result_strategies import MICROSECOND, locations, results

from urlmon.domain.fates import CLOCK_TOLERANCE
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.testing.contracts.isolation import nil_tenant

if TYPE_CHECKING:
    from urlmon.domain.check_results import CheckResult

NOW: Final = datetime.now(UTC)
TENANTS: Final = [TenantId.new(), TenantId.new()]
MONITORS: Final = [MonitorId.new() for _ in range(3)]
TENANT: Final = st.sampled_from([TENANTS[0], TENANTS[0], *TENANTS, TenantId.new(), nil_tenant()])
MONITOR: Final = st.sampled_from(MONITORS)
NEAR: Final = st.integers(-3, 3).map(lambda number: number * MICROSECOND)
INSTANT: Final = st.builds(
    lambda edge, near: NOW + edge + near,
    st.sampled_from([timedelta(0), timedelta(0), -timedelta(days=40), -RETENTION, CLOCK_TOLERANCE]),
    NEAR,
)
BATCH: Final = st.lists(results(TENANTS, MONITORS[:2], INSTANT), max_size=8)


class CheckResultsProgram(RuleBasedStateMachine):
    """Everything that can be done to check results."""

    def __init__(self, twins: RecordingTwins) -> None:
        super().__init__()
        self.twins = twins
        self.cursors: list[str | None] = [None, "x"]
        self.scans: list[str | None] = [None, "x"]
        self.recorded: list[CheckResult] = []

    @rule(batch=BATCH)
    def record(self, batch: list[CheckResult]) -> None:
        """Record a batch."""
        self.recorded += batch
        self.twins.same(lambda stores: stores.results.record(batch))

    @rule(numbers=st.lists(st.integers(0), max_size=5))
    def repeat(self, numbers: list[int]) -> None:
        """Record again what was recorded before, in another order."""
        if self.recorded:
            self.record([self.recorded[-1 - number % len(self.recorded)] for number in numbers])

    @rule(push=NEAR | st.sampled_from([timedelta(minutes=1), -timedelta(minutes=1)]))
    def advance(self, push: timedelta) -> None:
        """Push the clock on, or back."""
        self.twins.clock.advance(push)

    @rule(tenant_id=TENANT, monitor_ids=st.lists(MONITOR, max_size=4))
    def latest(self, tenant_id: TenantId, monitor_ids: list[MonitorId]) -> None:
        """Ask for the newest of some."""
        # The order of the answer is not promised.
        self.twins.same(lambda stores: _unordered(stores.results.latest(tenant_id, monitor_ids)))

    @rule(
        tenant_id=TENANT,
        monitor_ids=st.lists(MONITOR, max_size=3),
        ends=st.tuples(INSTANT, INSTANT).filter(lambda ends: ends[0] != ends[1]),
        success=st.none() | st.booleans(),
        location=st.none() | locations | st.just("Ä"),
        limit=st.integers(0, 4),
        number=st.integers(0),
    )
    def history(
        self,
        tenant_id: TenantId,
        monitor_ids: list[MonitorId],
        ends: Any,
        number: int,
        **given: Any,
    ) -> None:
        """Page through a history, from the beginning or any cursor seen."""
        cursor = self.cursors[-1 - number % len(self.cursors)]
        period = Period(since=min(ends), until=max(ends))
        page = self.twins.same(
            lambda stores: stores.results.history(
                tenant_id, monitor_ids, period=period, cursor=cursor, **given
            )
        )
        if page is not None and page.next_cursor is not None:
            self.cursors.append(page.next_cursor)

    @rule(
        ends=st.tuples(INSTANT, INSTANT).filter(lambda ends: ends[0] != ends[1]),
        limit=st.integers(0, 4),
        number=st.integers(0),
    )
    def scan(self, ends: Any, limit: int, number: int) -> None:
        """Page through everybody's results, from the beginning or any cursor seen."""
        cursor = self.scans[-1 - number % len(self.scans)]
        period = Period(since=min(ends), until=max(ends))
        page = self.twins.same(
            lambda stores: stores.archive.scan(period=period, cursor=cursor, limit=limit)
        )
        if page is not None and page.next_cursor is not None:
            self.scans.append(page.next_cursor)

    @rule(tenant_id=TENANT, monitor_id=MONITOR)
    def forget_monitor(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Delete a monitor's results."""
        self.twins.same(lambda stores: stores.results.forget_monitor(tenant_id, monitor_id))

    def teardown(self) -> None:
        """Compare what is there in the end."""
        span = Period(since=NOW - timedelta(days=99), until=NOW + timedelta(days=1))
        self.twins.same(lambda stores: stores.archive.scan(period=span))
        for tenant_id in TENANTS:
            for monitor_id in MONITORS:
                self.twins.same(
                    lambda stores, tenant_id=tenant_id, monitor_id=monitor_id: (
                        stores.results.history(tenant_id, [monitor_id], period=span, limit=1_000)
                    )
                )


async def _unordered(call: Any) -> object:
    return sorted((await call).items())


@pytest.mark.timeout(300)
def test_check_results(postgres_url: str) -> None:
    """Whatever is recorded, the fake and PostgreSQL answer alike at every step."""
    run_recording_program(CheckResultsProgram, postgres_url, now=NOW)
