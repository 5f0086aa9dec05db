"""COPY by the role that appends check results, and what that role cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from psycopg import errors
from tests.fixtures.tenancy import belongings, settle_in

if TYPE_CHECKING:
    from urlmon_adapters.postgres import Pool

_COLUMNS: Final = (
    "check_results (tenant_id, monitor_id, location, scheduled_at, checked_at, success)"
)
_INSERT: Final = (
    f"INSERT INTO {_COLUMNS} SELECT gen_random_uuid(), gen_random_uuid(), 'ams', now(), now(), true"
)


def test_copy_is_open_to_it(postgres_service_url: str, postgres_url: str) -> None:
    """A service's login appends rows of many tenants by COPY, also to the default partition."""
    with psycopg.connect(postgres_service_url) as connection:
        connection.execute("SELECT set_config('role', 'urlmon_ingest', true)")
        with connection.cursor().copy(f"COPY {_COLUMNS} FROM STDIN".encode()) as copy:
            for number in range(3):
                row = [f"{number:032}"] * 2 + ["ams", "2099-01-01 00:00Z", "2099-01-01 00:00Z", "t"]
                copy.write_row(row)
    with psycopg.connect(postgres_url) as admin:
        count = admin.execute("SELECT count(DISTINCT tenant_id) FROM check_results").fetchone()
    assert count == (3,)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM check_results",
        "COPY check_results TO STDOUT",
        f"{_INSERT} FROM check_results",
        f"{_INSERT} RETURNING tenant_id",
        (
            f"{_INSERT} ON CONFLICT (scheduled_at, tenant_id, monitor_id, location) DO UPDATE"
            " SET success = true"
        ),
        "UPDATE check_results SET success = true",
        "DELETE FROM check_results",
        "TRUNCATE check_results",
        "INSERT INTO check_results_default SELECT",
        "SELECT 1 FROM monitors",
        "SELECT 1 FROM tenants",
        "CREATE TEMP TABLE mine AS SELECT * FROM check_results",
        "SELECT create_monthly_partition()",
    ],
)
async def test_all_else_is_closed(
    postgres_service_pool: Pool, postgres_service_url: str, statement: str
) -> None:
    """It reads nothing, changes nothing and reaches no other table."""
    await settle_in(postgres_service_pool)
    with psycopg.connect(postgres_service_url) as connection:
        connection.execute("SELECT set_config('role', 'urlmon_ingest', true)")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement.encode())


async def test_a_conflict_tells_nothing(
    postgres_service_pool: Pool, postgres_service_url: str, postgres_url: str
) -> None:
    """A row that is there already is refused without a word of what is in it."""
    home = await settle_in(postgres_service_pool)
    before = belongings(postgres_url, home.tenant_id)
    with psycopg.connect(postgres_url) as admin:
        row = admin.execute("SELECT * FROM check_results").fetchone()
    assert row is not None
    with psycopg.connect(postgres_service_url) as connection:
        connection.execute("SELECT set_config('role', 'urlmon_ingest', true)")
        with (
            pytest.raises(errors.UniqueViolation) as caught,
            connection.cursor().copy(b"COPY check_results FROM STDIN") as copy,
        ):
            copy.write_row(row)
    assert caught.value.diag.message_detail is None
    assert belongings(postgres_url, home.tenant_id) == before
