"""The Redis adapters keep the contracts on a Redis Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from urlmon.testing.contracts.alert_state import AlertStateCacheContract
from urlmon.testing.contracts.cache import CacheContract
from urlmon.testing.contracts.counters import FailureCountersContract
from urlmon.testing.contracts.deny_list import DenyListContract
from urlmon.testing.contracts.locks import LocksContract
from urlmon.testing.contracts.outbox import TransitionOutboxContract
from urlmon.testing.contracts.schedule import ScheduleContract
from urlmon.testing.contracts.sessions import SessionStoreContract
from urlmon.testing.contracts.working_state import WorkingStateContract

if TYPE_CHECKING:
    from urlmon.testing.contracts.stores import WorkingStores


@pytest.fixture
def working(cluster_working: WorkingStores) -> WorkingStores:
    """The real adapters, over three masters."""
    return cluster_working


class TestRedisClusterAlertStateCache(AlertStateCacheContract):
    pass


class TestRedisClusterTransitionOutbox(TransitionOutboxContract):
    pass


class TestRedisClusterLocks(LocksContract):
    pass


class TestRedisClusterSchedule(ScheduleContract):
    pass


class TestRedisClusterCache(CacheContract):
    pass


class TestRedisClusterFailureCounters(FailureCountersContract):
    pass


class TestRedisClusterSessionStore(SessionStoreContract):
    pass


class TestRedisClusterDenyList(DenyListContract):
    pass


class TestRedisClusterWorkingState(WorkingStateContract):
    pass
