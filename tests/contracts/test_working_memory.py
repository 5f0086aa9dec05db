"""The fakes of the working state keep the contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from urlmon.testing.contracts.alert_state import AlertStateCacheContract
from urlmon.testing.contracts.locks import LocksContract
from urlmon.testing.contracts.outbox import TransitionOutboxContract

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
