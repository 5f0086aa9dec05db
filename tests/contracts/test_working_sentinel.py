"""Locks and alert state keep the contracts where Sentinels watch, before and after a failover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fixtures.working import in_redis

from urlmon.testing.contracts.alert_state import AlertStateCacheContract
from urlmon.testing.contracts.locks import LocksContract
from urlmon.testing.contracts.outbox import TransitionOutboxContract
from urlmon.testing.contracts.working_state import WorkingStateContract

if TYPE_CHECKING:
    from urlmon.testing.contracts.stores import WorkingStores
    from urlmon_adapters.redis import RedisClient


@pytest.fixture
def working(sentinel_client: RedisClient) -> WorkingStores:
    """The real adapters, over the master of the day."""
    return in_redis(sentinel_client)


class TestSentinelAlertStateCache(AlertStateCacheContract):
    pass


class TestSentinelTransitionOutbox(TransitionOutboxContract):
    pass


class TestSentinelLocks(LocksContract):
    pass


class TestSentinelWorkingState(WorkingStateContract):
    pass
