"""Every `CheckResultArchive` keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from urlmon.testing.contracts.archive import CheckResultArchiveContract

if TYPE_CHECKING:
    from urlmon.testing.contracts.stores import ResultStores


class TestInMemoryCheckResultArchive(CheckResultArchiveContract):
    @pytest.fixture
    def recording(self, memory_recording: ResultStores) -> ResultStores:
        """The fakes."""
        return memory_recording


class TestPostgresCheckResultArchive(CheckResultArchiveContract):
    @pytest.fixture
    def recording(self, postgres_recording: ResultStores) -> ResultStores:
        """The real adapters."""
        return postgres_recording


class TestInfluxCheckResultArchive(CheckResultArchiveContract):
    @pytest.fixture
    def recording(self, influx_recording: ResultStores) -> ResultStores:
        """The real adapters."""
        return influx_recording
