"""The Redis adapters keep the contracts."""

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
def working(redis_working: WorkingStores) -> WorkingStores:
    """The real adapters."""
    return redis_working


class TestRedisAlertStateCache(AlertStateCacheContract):
    pass


class TestRedisTransitionOutbox(TransitionOutboxContract):
    pass


class TestRedisLocks(LocksContract):
    pass


class TestRedisSchedule(ScheduleContract):
    pass


class TestRedisCache(CacheContract):
    pass


class TestRedisFailureCounters(FailureCountersContract):
    pass


class TestRedisSessionStore(SessionStoreContract):
    pass


class TestRedisDenyList(DenyListContract):
    pass


class TestRedisWorkingState(WorkingStateContract):
    pass
