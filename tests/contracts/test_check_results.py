"""Every `CheckResultStore` keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from urlmon.testing.contracts.check_results import CheckResultStoreContract

if TYPE_CHECKING:
    from urlmon.testing.contracts.stores import ResultStores


class TestInMemoryCheckResultStore(CheckResultStoreContract):
    @pytest.fixture
    def recording(self, memory_recording: ResultStores) -> ResultStores:
        """The fakes."""
        return memory_recording


class TestPostgresCheckResultStore(CheckResultStoreContract):
    @pytest.fixture
    def recording(self, postgres_recording: ResultStores) -> ResultStores:
        """The real adapters."""
        return postgres_recording
