"""A server that is killed, frozen and started again: nothing is lost, and repeats store once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.influx import opened, stores
from tests.integration.influx._calls import MONITOR, TENANT, recent

from urlmon.domain.fates import STORED
from urlmon.errors import UnavailableError
from urlmon.testing.builders import a_result
from urlmon.testing.clock import FakeClock
from urlmon_adapters.influx import ensure_bucket
from urlmon_adapters.servers import InfluxServer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.influx
async def test_a_server_that_comes_and_goes(tmp_path: Path) -> None:
    """Down or frozen it is `UnavailableError`; afterwards the same call stores each result once."""
    clock = FakeClock()
    batch = [
        a_result(TENANT, MONITOR, scheduled_at=clock.now() - timedelta(seconds=number))
        for number in range(600)
    ]
    server = InfluxServer(tmp_path)
    server.start()
    try:
        async with opened(
            server.url, server.endpoint.token, org=server.org, bucket="b", timeout_seconds=5
        ) as influx:
            await ensure_bucket(influx, retention=timedelta(days=3_650))
            recording = stores(influx, clock)
            assert await recording.results.record(batch[:200]) == (STORED,) * 200
            server.kill()
            with pytest.raises(UnavailableError) as caught:
                await recording.results.record(batch[:400])
            assert not caught.value.maybe_applied
            server.start()
            assert await recording.results.record(batch[:400]) == (STORED,) * 400
            server.pause()
            with pytest.raises(UnavailableError) as caught:
                await recording.results.record(batch)
            assert caught.value.maybe_applied
            server.resume()
            assert await recording.results.record(batch) == (STORED,) * 600
            page = await recording.results.history(
                TENANT, [MONITOR], period=recent(recording), limit=1_000
            )
            assert page.items == tuple(batch)
    finally:
        server.stop()
