"""A server of a test's own, and who is connected to a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from tests.fixtures.servers import leave_out

from urlmon_adapters.servers import MissingServerError, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SESSIONS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'urlmon' AND datname = current_database() AND query LIKE %s
"""


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A running PostgreSQL with the role of a service, to be stopped, killed and suspended."""
    try:
        server = PostgresServer(tmp_path_factory.mktemp("postgres"), durable=False)
    except MissingServerError as exc:
        leave_out(exc)
    with server:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute("CREATE ROLE urlmon_service")
        yield server


@pytest.fixture
def sessions_of() -> Callable[..., int]:
    """Count the sessions of services in a database, or those whose last statement was like one."""

    def count(url: str, *, statement: str = "%") -> int:
        with psycopg.connect(url, autocommit=True) as admin:
            (number,) = admin.execute(_SESSIONS, [statement]).fetchone() or (0,)
        return number

    return count
