"""Two stores at once keep the contract of one, and statistics are those of the second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fixtures.recording import in_memory

from urlmon.services.both_stores import BothStores
from urlmon.testing.contracts.check_results import CheckResultStoreContract
from urlmon.testing.contracts.statistics import CheckStatisticsContract
from urlmon.testing.contracts.stores import ResultStores

if TYPE_CHECKING:
    from urlmon.testing.clock import FakeClock


@pytest.fixture(name="recording")
def _recording(still_clock: FakeClock) -> ResultStores:
    """Two fakes, as one."""
    record, series = in_memory(still_clock), in_memory(still_clock)
    return ResultStores(
        results=BothStores(record.results, series.results),
        statistics=series.statistics,
        archive=record.archive,
        clock=still_clock,
    )


class TestBothStores(CheckResultStoreContract, CheckStatisticsContract):
    """Over the fixture of this module."""
