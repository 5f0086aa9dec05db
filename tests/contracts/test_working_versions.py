"""The Redis adapters keep the contracts on every Redis and Valkey that this machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fixtures.servers import other_programs
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

if not other_programs():
    pytest.skip(
        "one Redis alone is here: put another `redis-server` or a `valkey-server` on the PATH",
        allow_module_level=True,
    )


@pytest.fixture
def working(other_client: RedisClient) -> WorkingStores:
    """The real adapters, over a server of another version."""
    return in_redis(other_client)


class TestOtherAlertStateCache(AlertStateCacheContract):
    pass


class TestOtherTransitionOutbox(TransitionOutboxContract):
    pass


class TestOtherLocks(LocksContract):
    pass


class TestOtherSchedule(ScheduleContract):
    pass


class TestOtherCache(CacheContract):
    pass


class TestOtherFailureCounters(FailureCountersContract):
    pass


class TestOtherSessionStore(SessionStoreContract):
    pass


class TestOtherDenyList(DenyListContract):
    pass


class TestOtherWorkingState(WorkingStateContract):
    pass
