"""The pool and its transactions, where the server is set up in an unusual way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from urlmon.domain.ids import TenantId
from urlmon.errors import UnavailableError
from urlmon.testing.builders import a_tenant
from urlmon_adapters.postgres import Database, PostgresTenantRepo, build_pool, open_pool

if TYPE_CHECKING:
    from urlmon_adapters.postgres import Pool


@pytest.fixture
def unusual_url(postgres_url: str) -> str:
    """URL of a database that writes dates as people in some places do."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET datestyle TO "SQL, DMY"'.encode())
        connection.execute(f'ALTER DATABASE "{name}" SET timezone TO "Asia/Kolkata"'.encode())
    return postgres_url


async def test_instants_survive_any_date_style(unusual_url: str) -> None:
    """What is stored comes back equal, whatever the database sets for its sessions."""
    async with build_pool(unusual_url) as pool:
        repo = PostgresTenantRepo(Database(pool))
        tenant = a_tenant()
        assert await repo.add(tenant) == tenant
        assert await repo.get(tenant.id) == tenant


async def test_a_pool_without_a_server_says_so() -> None:
    """Opening names what to look at, and leaves the pool closed."""
    pool: Pool = build_pool("postgresql://user:canary@127.0.0.1:1/urlmon", timeout_seconds=1)
    with pytest.raises(UnavailableError, match="is the server up") as caught:
        await open_pool(pool)
    assert "canary" not in str(caught.value)
    assert pool.closed


async def test_no_statement_is_compiled(postgres_url: str) -> None:
    """Compilation is off in every transaction, and as the server has it in between."""
    asked = "SELECT current_setting('jit')"
    async with build_pool(postgres_url, largest=1) as pool:
        database = Database(pool)
        async with pool.connection() as connection:
            await connection.execute("SET jit = on")
        for transaction in (database.tenant("test", TenantId.new()), database.everyone("test")):
            async with transaction as connection:
                assert await (await connection.execute(asked)).fetchone() == ("off",)
            async with pool.connection() as connection:
                assert await (await connection.execute(asked)).fetchone() == ("on",)
