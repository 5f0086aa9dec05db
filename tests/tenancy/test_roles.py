"""The roles that the migrations make, where the login that migrates may make them and where not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.fixtures.servers import leave_out
from tests.fixtures.tenancy import settle_in

from urlmon import MigrationError
from urlmon_adapters.postgres import Migrations, build_pool
from urlmon_adapters.servers import MissingServerError, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module", params=["16", "18"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresServer]:
    """A PostgreSQL of these tests' own: roles are a server's."""
    folder: Path = tmp_path_factory.mktemp("roles") / "postgres"
    try:
        own = PostgresServer(folder, version=request.param, durable=False)
    except MissingServerError as exc:
        leave_out(exc)
    with own:
        yield own


def _owner(server: PostgresServer, name: str, rights: str) -> str:
    """Make a login with a database of its own; return the URL."""
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN {rights} PASSWORD '{name}'".encode())
        admin.execute(f"CREATE DATABASE {name} OWNER {name}".encode())
    return f"postgresql://{name}:{name}@127.0.0.1:{server.port}/{name}"


async def test_who_migrates(server: PostgresServer) -> None:
    """An owner without the right is told what a superuser has to do; with it, nobody is needed."""
    bound = _owner(server, "bound", "")
    with pytest.raises(MigrationError) as caught:
        await Migrations(bound).apply()
    message = str(caught.value)
    assert "the role urlmon_tenant is missing, and bound may not make it" in message
    assert "Nothing of this file was applied" in message
    free = _owner(server, "free", "CREATEROLE")
    await Migrations(free).apply()
    async with build_pool(free) as pool:
        await settle_in(pool)

    # The roles are there now, so that the first owner can migrate; another hands them out.
    await Migrations(bound).apply()
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute("GRANT urlmon_tenant, urlmon_service TO bound")
    async with build_pool(bound) as pool:
        await settle_in(pool)
