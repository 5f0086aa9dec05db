"""InfluxDB keeps the contracts of `CheckResultStore` and `CheckStatistics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from urlmon.testing.contracts.check_results import CheckResultStoreContract
from urlmon.testing.contracts.statistics import CheckStatisticsContract

if TYPE_CHECKING:
    from urlmon.testing.contracts.stores import ResultStores


class TestInfluxCheckResultStore(CheckResultStoreContract):
    @pytest.fixture
    def recording(self, influx_recording: ResultStores) -> ResultStores:
        """The real adapters."""
        return influx_recording


class TestInfluxCheckStatistics(CheckStatisticsContract):
    @pytest.fixture
    def recording(self, influx_recording: ResultStores) -> ResultStores:
        """The real adapters."""
        return influx_recording


class TestInfluxCheckStatisticsFromRollups(CheckStatisticsContract):
    @pytest.fixture
    def recording(self, kept_recording: ResultStores) -> ResultStores:
        """The real adapters, which roll up what there is before each question."""
        return kept_recording
