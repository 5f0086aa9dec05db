"""Every `Removals` keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from urlmon.testing.contracts.removals import RemovalsContract

if TYPE_CHECKING:
    from urlmon.testing.contracts.stores import RelationalStores


class TestInMemoryRemovals(RemovalsContract):
    @pytest.fixture
    def relational(self, memory_relational: RelationalStores) -> RelationalStores:
        """The fakes."""
        return memory_relational


class TestPostgresRemovals(RemovalsContract):
    @pytest.fixture
    def relational(self, postgres_relational: RelationalStores) -> RelationalStores:
        """The real adapters."""
        return postgres_relational
