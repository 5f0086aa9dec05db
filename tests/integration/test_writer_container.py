"""The result writer of the containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.fixtures.writing import MONITOR, results

from urlmon import ConfigurationError, UnavailableError
from urlmon.services.result_writer import Tally
from urlmon.testing.builders import a_result
from urlmon_adapters.container import PersistenceContainer, running
from urlmon_adapters.settings import Settings
from urlmon_adapters.testing import InMemoryContainer

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_writer_over_the_fakes() -> None:
    """In `running` it stores at once; while the store fails results wait for the clock."""
    async with running(InMemoryContainer()) as stores:
        writer = stores.result_writer()
        receipt = await writer.submit(results(3))
        assert await receipt.stored() == {"memory": Tally(stored=3)}
        assert set(await stores.check_results().latest(MONITOR[0], [MONITOR[1]])) == {MONITOR[1]}
    with pytest.raises(UnavailableError):
        await writer.submit(results(3))


@pytest.mark.redis
async def test_the_writer_over_the_real_stores(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    """What the end of a container leaves to the writer is stored before PostgreSQL is closed."""
    spool = tmp_path / "spool"
    settings = Settings.load(
        {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url, "URLMON_SPOOL_DIR": str(spool)}
    )
    container = PersistenceContainer(settings=settings)
    async with running(container) as stores:
        now = stores.clock().now()
        await stores.result_writer().submit([a_result(*MONITOR, scheduled_at=now)])
        report = await stores.health_checks()[-1].check()
        assert (report.name, report.details) == ("spool", (("postgresql", "nothing waits"),))
    assert stores.result_writer().account()["postgresql"].tally == Tally(stored=1)
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM check_results").fetchone() == (1,)
    assert [path.name for path in (spool / "postgresql").iterdir()] == ["owner.lock"]


def test_no_spool_no_writer() -> None:
    """Without a place to wait in there is no writer, and who asks is told what to set."""
    settings = Settings.load({"DATABASE_URL": "postgresql://a", "REDIS_URL": "redis://b"})
    with pytest.raises(ConfigurationError, match="URLMON_SPOOL_DIR"):
        PersistenceContainer(settings=settings).result_writer()
