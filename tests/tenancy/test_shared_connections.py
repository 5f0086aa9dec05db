"""Many tenants on few connections: what one leaves in them, the next must not meet."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

import pytest
from tests.fixtures.pgbouncer import pgbouncer
from tests.fixtures.tenancy import left_behind, settle_in

from urlmon.errors import StoreError
from urlmon_adapters.postgres import Database, _database, build_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.tenancy import Household

    from urlmon_adapters.postgres import Pool

_OWN: Final = "SELECT array_agg(id), current_setting('urlmon.tenant') FROM monitors"
_TASKS: Final = 8
_CALLS: Final = 60


@pytest.fixture(params=["direct", "pgbouncer"])
def shared_url(request: pytest.FixtureRequest, postgres_service_url: str) -> Iterator[str]:
    """URL to few sessions of the server: a small pool's own, or those of a transaction pooler."""
    if request.param == "direct":
        yield postgres_service_url
        return
    with pgbouncer(postgres_service_url, sessions=2) as url:
        yield url


async def _mix(pool: Pool, homes: list[Household], chance: random.Random) -> list[str]:
    """Run transactions that end well, fail and are cancelled; return what was not as it must be."""
    wrong: list[str] = []

    async def call(home: Household, ending: str) -> None:
        async with Database(pool).tenant("test", home.tenant_id) as connection:
            row = await (await connection.execute(_OWN)).fetchone()
            if row != ([home.monitor_id], str(home.tenant_id)):
                wrong.append(f"{home.monitor_id} met {row}")
            if ending == "error":
                await connection.execute("SELECT 1 / 0")
            if ending == "cancelled":
                await connection.execute("SELECT pg_sleep(60)")

    async def caller() -> None:
        for _ in range(_CALLS):
            ending = chance.choices(["commit", "error", "cancelled"], [8, 2, 1])[0]
            try:
                async with asyncio.timeout(0.05 if ending == "cancelled" else 30):
                    await call(chance.choice(homes), ending)
            except (StoreError, TimeoutError):
                assert ending != "commit"

    await asyncio.gather(*(caller() for _ in range(_TASKS)))
    async with pool.connection() as connection:
        trace = await left_behind(connection)
        if trace != (True, ""):
            wrong.append(f"a connection was left with {trace}")
    return wrong


async def test_each_call_meets_its_own_tenant(shared_url: str) -> None:
    """However transactions end, the next one in the same session is for its own tenant alone."""
    async with build_pool(shared_url, largest=2) as pool:
        homes = [await settle_in(pool) for _ in range(4)]
        assert await _mix(pool, homes, random.Random(7)) == []  # noqa: S311 - no secret


async def test_the_mix_finds_a_leak(shared_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role and a tenant that are set for the session, and not the transaction, are noticed."""
    async with build_pool(shared_url, largest=2) as pool:
        homes = [await settle_in(pool) for _ in range(4)]
        wrong = _database._AS_TENANT.replace("true", "false")
        monkeypatch.setattr(_database, "_AS_TENANT", wrong)
        found = await _mix(pool, homes, random.Random(7))  # noqa: S311 - no secret
    assert any("left with" in line or "met" in line for line in found)
