"""The one way to PostgreSQL: a transaction, for one tenant or for all, with errors translated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, LiteralString

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from urlmon.domain.ids import TenantId, require_tenant
from urlmon.errors import UnavailableError
from urlmon_adapters.postgres._errors import STORE, translate

Connection = AsyncConnection[TupleRow]
Pool = AsyncConnectionPool[Connection]


async def _configure(connection: Connection) -> None:
    """Set what the driver reads instants by, whatever role, database and server set.

    PgBouncer follows a change of these two from session to session.
    """
    await connection.execute("SET datestyle TO 'ISO, YMD'")
    await connection.execute("SET timezone TO 'UTC'")


def build_pool(
    url: str, *, smallest: int = 1, largest: int = 8, timeout_seconds: float = 10
) -> Pool:
    """Build a pool that is not open yet; opening it is the caller's.

    Args:
        url: A libpq connection string.
        smallest: Connections kept open.
        largest: Connections at most.
        timeout_seconds: How long a call waits for a connection, and connecting lasts at most.
    """
    return AsyncConnectionPool(
        url,
        open=False,
        min_size=smallest,
        max_size=largest,
        timeout=timeout_seconds,
        name="urlmon",
        configure=_configure,
        # A pooler between us and the server may give each transaction another session: nothing of
        # a session is relied on, and so no statement is prepared in it.
        kwargs={
            "autocommit": True,
            "prepare_threshold": None,
            "application_name": "urlmon",
            "connect_timeout": max(2, int(timeout_seconds)),
        },
    )


async def open_pool(pool: Pool) -> None:
    """Open a pool and wait for its first connections.

    Raises:
        UnavailableError: None could be made in the pool's time limit; the pool is closed again.
    """
    try:
        await pool.open(wait=True, timeout=pool.timeout)
    except psycopg.Error as exc:
        detail = "no connection could be made: is the server up, are user and password right?"
        raise UnavailableError(STORE, "open", detail) from exc


# The first statement of every transaction: what follows runs with the rights of a role of the
# library, whatever the login is, and both settings end with the transaction, as behind a pooler they
# must.
_AS_TENANT: Final = """
SELECT set_config('role', 'urlmon_tenant', true),
    set_config('urlmon.tenant', %s, true)
"""
_AS_SERVICE: Final = "SELECT set_config('role', 'urlmon_service', true)"


class Database:
    """Transactions on a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def tenant(self, operation: str, tenant_id: TenantId) -> AsyncIterator[Connection]:
        """Run a block in a transaction that serves one tenant, and sees no other's rows.

        Raises:
            InvalidValueError: `tenant_id` is no `TenantId`.
            StoreError: A driver's error that the block let pass, translated.
        """
        require_tenant(tenant_id)
        async with self._transaction(operation, _AS_TENANT, str(tenant_id)) as connection:
            yield connection

    @asynccontextmanager
    async def everyone(self, operation: str) -> AsyncIterator[Connection]:
        """Run a block in a transaction that serves many tenants: only for ports that say so.

        Raises:
            StoreError: A driver's error that the block let pass, translated.
        """
        async with self._transaction(operation, _AS_SERVICE) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(
        self, operation: str, enter: LiteralString, *values: object
    ) -> AsyncIterator[Connection]:
        committing = False
        try:
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute(enter, values)
                yield connection
                committing = True
        except psycopg.Error as exc:
            raise translate(exc, operation, maybe_applied=committing) from exc
