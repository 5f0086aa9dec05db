"""The fakes of the working state keep the contracts."""

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
def working(memory_working: WorkingStores) -> WorkingStores:
    """The fakes."""
    return memory_working


class TestInMemoryAlertStateCache(AlertStateCacheContract):
    pass


class TestInMemoryTransitionOutbox(TransitionOutboxContract):
    pass


class TestInMemoryLocks(LocksContract):
    pass


class TestInMemorySchedule(ScheduleContract):
    pass


class TestInMemoryCache(CacheContract):
    pass


class TestInMemoryFailureCounters(FailureCountersContract):
    pass


class TestInMemorySessionStore(SessionStoreContract):
    pass


class TestInMemoryDenyList(DenyListContract):
    pass


class TestInMemoryWorkingState(WorkingStateContract):
    pass
