"""What the page on check results copies is in the other store afterwards."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.docs.documents import marked, run_shell
from tests.fixtures.recording import in_postgres

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.testing.builders import a_result
from urlmon.testing.clock import FakeClock
from urlmon_adapters.postgres import build_pool, open_pool

if TYPE_CHECKING:
    from pathlib import Path


def test_fill_a_gap(
    postgres_service_url: str, influx_environment: dict[str, str], tmp_path: Path
) -> None:
    """The first command fills InfluxDB, and the second finds what is of its month there."""
    january = datetime(2026, 1, 31, tzinfo=UTC)
    results = [
        a_result(TenantId.new(), MonitorId.new(), scheduled_at=at)
        for at in (january, january.replace(month=2, day=3))
    ]

    async def record() -> None:
        pool = build_pool(postgres_service_url, largest=1)
        await open_pool(pool)
        await in_postgres(pool, FakeClock(january.replace(month=3))).results.record(results)
        await pool.close()

    asyncio.run(record())
    texts = marked("check-results", "sh with both stores")
    settings = {"DATABASE_URL": postgres_service_url, "URLMON_RETENTION_DAYS": "3650"}
    printed = run_shell(texts, tmp_path, settings | influx_environment, programs={"urlmon": None})
    document = json.loads(printed)
    assert (document["read"], document["known"], document["new"]) == (1, 1, 0)
