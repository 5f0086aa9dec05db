"""Every `Spool` keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from urlmon.testing.clock import FakeClock
from urlmon.testing.contracts.spool import LIMIT, SpoolContract
from urlmon.testing.spool import InMemorySpool
from urlmon.testing.state import InMemoryState
from urlmon_adapters.spool import FileSpool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class TestInMemorySpool(SpoolContract):
    @pytest.fixture
    def spool(self) -> InMemorySpool:
        """The fake."""
        return InMemorySpool(InMemoryState(), limit_bytes=LIMIT)


class TestFileSpool(SpoolContract):
    @pytest.fixture
    async def spool(self, tmp_path: Path) -> AsyncIterator[FileSpool]:
        """Files."""
        spool = FileSpool(tmp_path / "spool", FakeClock(), limit_bytes=LIMIT)
        yield spool
        await spool.close()
