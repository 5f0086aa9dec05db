"""The Redis adapters keep the contracts on a Redis Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fixtures.working import in_redis

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
    from urlmon_adapters.redis import RedisClient


@pytest.fixture
def working(cluster_client: RedisClient) -> WorkingStores:
    """The real adapters, over three masters."""
    return in_redis(cluster_client)


class TestClusterAlertStateCache(AlertStateCacheContract):
    pass


class TestClusterTransitionOutbox(TransitionOutboxContract):
    pass


class TestClusterLocks(LocksContract):
    pass


class TestClusterSchedule(ScheduleContract):
    pass


class TestClusterCache(CacheContract):
    pass


class TestClusterFailureCounters(FailureCountersContract):
    pass


class TestClusterSessionStore(SessionStoreContract):
    pass


class TestClusterDenyList(DenyListContract):
    pass


class TestClusterWorkingState(WorkingStateContract):
    pass
