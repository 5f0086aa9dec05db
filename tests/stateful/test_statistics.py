"""Random questions on check results: the fake and PostgreSQL give the same statistics."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.fixtures.recording_twins import RecordingTwins, run_recording_program
from tests.result_strategies import MICROSECOND, plain_results

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.testing.contracts.isolation import nil_tenant

if TYPE_CHECKING:
    from urlmon.domain.check_results import CheckResult

HOUR: Final = timedelta(hours=1)
# In the week of the last results, clocks were put back in Berlin and, at midnight, in Havana.
NOW: Final = datetime(2025, 11, 4, 9, 30, tzinfo=UTC)
TENANTS: Final = [TenantId.new(), TenantId.new()]
MONITORS: Final = [MonitorId.new() for _ in range(3)]
TENANT: Final = st.sampled_from([*[TENANTS[0]] * 4, TENANTS[1], TenantId.new(), nil_tenant()])
SOME: Final = st.lists(st.sampled_from(MONITORS), max_size=3, unique=True)
# On and beside the hours and half hours of ten days, of which the last ones have most.
INSTANT: Final = st.builds(
    lambda halves, near: NOW - halves * HOUR / 2 + near * MICROSECOND,
    st.integers(0, 30) | st.integers(0, 500),
    st.integers(-1, 1),
)
RESULT: Final = plain_results([TENANTS[0], *TENANTS], MONITORS[:2], INSTANT)
PERIOD: Final = st.builds(
    lambda since, length: Period(since=since, until=since + length),
    INSTANT,
    st.sampled_from([MICROSECOND, HOUR, 7 * HOUR]) | st.timedeltas(HOUR, timedelta(days=11)),
)
WIDTH: Final = st.sampled_from([-HOUR, HOUR / 60, HOUR, 5 * HOUR, 24 * HOUR, timedelta(days=99)])
DAY: Final = st.dates(date(2025, 10, 20), date(2025, 11, 6))
ZONE: Final = st.sampled_from(
    ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Havana", "Australia/Lord_Howe", "Mars"]
)


class StatisticsProgram(RuleBasedStateMachine):
    """Results of every sort, and every question about them."""

    def __init__(self, twins: RecordingTwins) -> None:
        super().__init__()
        self.twins = twins

    def ask(self, method: str, *args: Any, **given: Any) -> None:
        """Ask both the same."""
        self.twins.same(lambda stores: getattr(stores.statistics, method)(*args, **given))

    @initialize(batch=st.lists(RESULT, min_size=20, max_size=40))
    def begin(self, batch: list[CheckResult]) -> None:
        """Have something to sum up."""
        self.record(batch)

    @rule(batch=st.lists(RESULT, max_size=9))
    def record(self, batch: list[CheckResult]) -> None:
        """Record more."""
        self.twins.same(lambda stores: stores.results.record(batch))

    @rule(
        tenant_id=TENANT,
        intervals=st.dictionaries(
            st.sampled_from(MONITORS),
            st.timedeltas(MICROSECOND, 50 * HOUR) | st.sampled_from([-HOUR, HOUR, timedelta.max]),
        ),
        period=PERIOD,
    )
    def summary(self, tenant_id: TenantId, intervals: object, period: Period) -> None:
        """Ask for uptime and coverage."""
        self.ask("summary", tenant_id, intervals, period=period)

    @rule(tenant_id=TENANT, monitor_ids=SOME, period=PERIOD, width=WIDTH)
    def series(self, tenant_id: TenantId, monitor_ids: object, **given: object) -> None:
        """Ask for windows."""
        self.ask("series", tenant_id, monitor_ids, **given)

    @rule(tenant_id=TENANT, monitor_ids=SOME, first=DAY, last=DAY, zone=ZONE)
    def daily(self, tenant_id: TenantId, monitor_ids: object, **given: object) -> None:
        """Ask for days."""
        self.ask("daily", tenant_id, monitor_ids, **given)

    @rule(tenant_id=TENANT, monitor_ids=SOME, period=PERIOD)
    def groups(self, tenant_id: TenantId, monitor_ids: object, period: Period) -> None:
        """Ask for failures and locations."""
        self.ask("failures", tenant_id, monitor_ids, period=period)
        self.ask("by_location", tenant_id, monitor_ids, period=period)

    @rule(tenant_id=TENANT, first=DAY, last=DAY)
    def usage(self, tenant_id: TenantId, first: date, last: date) -> None:
        """Ask for a tenant's days."""
        self.ask("usage", tenant_id, first=first, last=last)


@pytest.mark.timeout(300)
def test_statistics(postgres_url: str) -> None:
    """Whatever is asked, the fake and PostgreSQL answer alike at every step."""
    run_recording_program(StatisticsProgram, postgres_url, now=NOW)
