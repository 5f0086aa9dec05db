"""Random programs on failure counts: the fake and the real adapter give the same answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.fixtures.twins import WorkingProgram, run_program

from urlmon.domain.counters import FailureCount
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.testing.clock import NOON

if TYPE_CHECKING:
    Key = tuple[TenantId, MonitorId]

MINUTE: Final = timedelta(minutes=1)
TENANTS: Final = [TenantId.new() for _ in range(2)]
MONITORS: Final = [MonitorId.new() for _ in range(2)]
KEYS: Final = st.tuples(st.sampled_from(TENANTS), st.sampled_from(MONITORS))
INSTANTS: Final = st.integers(0, 15).map(lambda minute: NOON + minute * MINUTE)
TTLS: Final = st.sampled_from([5, 15, 25, 55]).map(lambda minutes: minutes * MINUTE)


class FailureCounts(WorkingProgram):
    """Everything that can be done to counts, of two monitors of two tenants each."""

    @rule(key=KEYS, at=INSTANTS, success=st.sampled_from([False, False, True]), ttl=TTLS)
    def record(self, key: Key, at: datetime, *, success: bool, ttl: timedelta) -> None:
        """Record a check: early, late, or twice."""
        self.twins.same(
            lambda stores: stores.counters.record(*key, scheduled_at=at, success=success, ttl=ttl)
        )

    @rule(key=KEYS, until=INSTANTS, ttl=TTLS)
    def reset(self, key: Key, until: datetime, ttl: timedelta) -> None:
        """Reset a count."""
        self.twins.same(lambda stores: stores.counters.reset(*key, until=until, ttl=ttl))

    @rule(key=KEYS, at=INSTANTS, failures=st.integers(0, 9), ttl=TTLS)
    def seed(self, key: Key, at: datetime, failures: int, ttl: timedelta) -> None:
        """Seed a count."""
        count = FailureCount(failures=failures, watermark=at)
        self.twins.same(lambda stores: stores.counters.seed(*key, count=count, ttl=ttl))

    @rule(tenant_id=st.sampled_from(TENANTS))
    def read(self, tenant_id: TenantId) -> None:
        """Read all counts of a tenant."""
        self.twins.same(lambda stores: stores.counters.get_many(tenant_id, MONITORS))
        self.twins.same(lambda stores: stores.counters.get(tenant_id, MONITORS[0]))


def test_failure_counts(redis_url: str) -> None:
    """Whatever is done to counts, the fake and Redis answer alike at every step."""
    run_program(FailureCounts, redis_url)
