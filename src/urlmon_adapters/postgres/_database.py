"""The one way to PostgreSQL: a transaction, for one tenant or for all, with errors translated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, LiteralString

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from urlmon.domain.ids import TenantId, require_tenant
from urlmon_adapters.postgres._errors import translate
from urlmon_adapters.postgres._pool import Pool, build_pool, open_pool

__all__ = ["Connection", "Database", "Pool", "build_pool", "open_pool"]

Connection = AsyncConnection[TupleRow]

# The first statement of every transaction: what follows runs with the rights of a role of the
# library, whatever the login is, and all settings end with the transaction, as behind a pooler
# they must.  To compile a statement takes longer than any of ours runs: 2 s for the sums of 500
# monitors, which are added up in 0.4 s.
_AS_TENANT: Final = """
SELECT set_config('role', 'urlmon_tenant', true),
    set_config('urlmon.tenant', present_tenant(%s), true), set_config('jit', 'off', true)
"""
AS_SERVICE: Final = (
    "SELECT set_config('role', 'urlmon_service', true), set_config('jit', 'off', true)"
)
# For COPY, which is refused where row-level security applies.  The role is missing where no
# superuser made it, and then the answer tells that another one was taken.
AS_INGEST: Final = """
SELECT set_config('role', CASE WHEN EXISTS (
    SELECT FROM pg_roles WHERE rolname = 'urlmon_ingest' AND rolbypassrls
        AND has_table_privilege(oid, 'check_results', 'INSERT')
        AND pg_has_role(session_user, oid, CASE
            WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER'
        END)
) THEN 'urlmon_ingest' ELSE 'urlmon_service' END, true)
"""


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
        async with self._transaction(operation, AS_SERVICE) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(
        self, operation: str, enter: LiteralString, *values: object
    ) -> AsyncIterator[Connection]:
        committing = False
        try:
            async with self._pool.transaction(enter, *values) as connection:
                yield connection
                committing = not connection.closed
        except psycopg.Error as exc:
            raise translate(exc, operation, maybe_applied=committing) from exc
