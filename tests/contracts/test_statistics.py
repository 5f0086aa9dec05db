"""Every `CheckStatistics` keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from urlmon.testing.contracts.statistics import CheckStatisticsContract

if TYPE_CHECKING:
    from urlmon.testing.contracts.stores import ResultStores


class TestInMemoryCheckStatistics(CheckStatisticsContract):
    @pytest.fixture
    def recording(self, memory_recording: ResultStores) -> ResultStores:
        """The fakes."""
        return memory_recording


class TestPostgresCheckStatistics(CheckStatisticsContract):
    @pytest.fixture
    def recording(self, postgres_recording: ResultStores) -> ResultStores:
        """The real adapters."""
        return postgres_recording
