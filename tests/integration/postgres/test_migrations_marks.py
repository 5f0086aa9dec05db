"""What is recorded without being run: a baseline, and accepted changes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.fixtures.migration_files import select, write

from urlmon.errors import MigrationError
from urlmon_adapters.postgres.migrations import (
    MigrationHistoryError,
    MigrationLockedError,
    Migrations,
)

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "SELECT pg_advisory_xact_lock(x'75726c6d6f6e'::bigint)"


@pytest.fixture(name="migrations")
def _migrations(empty_postgres_url: str, tmp_path: Path) -> Migrations:
    """An empty database, and three files."""
    for day, name in enumerate("abc", start=1):
        write(tmp_path, f"202501{day:02}_{name}", f"CREATE TABLE t_{name} ();\n")
    return Migrations(empty_postgres_url, tmp_path)


def tables(migrations: Migrations) -> list[object]:
    query = (
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname LIKE 't\\_%' ORDER BY 1"
    )
    return select(migrations._url, query)


async def test_a_baseline_runs_nothing(migrations: Migrations) -> None:
    """The file and all before it count as applied, and say so; those after it are applied."""
    assert await migrations.baseline("b") == ("a", "b")
    assert tables(migrations) == []
    status = await migrations.status()
    assert [(row.version, row.assumed, row.file) for row in status.applied] == [
        ("a", True, "20250101_a.sql"),
        ("b", True, "20250102_b.sql"),
    ]
    assert (await migrations.apply()).applied == ("c",)
    assert [row.assumed for row in (await migrations.status()).applied] == [True, True, False]
    assert tables(migrations) == ["t_c"]


async def test_a_baseline_needs_an_empty_history(migrations: Migrations) -> None:
    """A database that has a history is left as it is; an empty table is no history."""
    select(migrations._url, "CREATE TABLE schema_migrations (version varchar(50) PRIMARY KEY)")
    assert await migrations.baseline("a") == ("a",)
    with pytest.raises(
        MigrationHistoryError, match="has a history already, of 1 migrations up to a"
    ):
        await migrations.baseline("b")
    assert len((await migrations.status()).applied) == 1


async def test_baselines_at_once(migrations: Migrations) -> None:
    """One of them is recorded; the others are refused."""
    runs = (migrations.baseline("b") for _ in range(4))
    results = await asyncio.gather(*runs, return_exceptions=True)
    assert sum(result == ("a", "b") for result in results) == 1
    assert sum(isinstance(result, MigrationHistoryError) for result in results) == 3


async def test_an_unknown_version_is_refused(migrations: Migrations) -> None:
    """The newest that there are is told, and nothing recorded."""
    with pytest.raises(MigrationError, match="no file has the version x; the newest are a, b, c"):
        await migrations.baseline("x")
    with pytest.raises(MigrationError, match="no file has the version x"):
        await migrations.accept("x", reason="why")
    assert (await migrations.status()).applied == ()


async def test_a_change_is_accepted(migrations: Migrations, tmp_path: Path) -> None:
    """The file counts as it is now; what it was, who accepted it, when and why is kept."""
    await migrations.apply()
    (before, *_) = (await migrations.status()).applied
    for times, body in enumerate(("CREATE TABLE t_a (a int)", "CREATE TABLE t_a (b int)"), start=1):
        write(tmp_path, "20250101_a", body)
        with pytest.raises(MigrationHistoryError, match="`urlmon migrate accept a --reason"):
            await migrations.apply()
        assert await migrations.accept("a", reason=f" reason {times} ")
        assert not await migrations.accept("a", reason="again")
        status = await migrations.status()
        assert (status.state, status.edited) == ("current", ())
    (row, *_) = status.applied
    first, second = row.acceptances
    assert (first.text_hash, first.token_hash) == (before.text_hash, before.token_hash)
    assert second.token_hash not in {first.token_hash, row.token_hash}
    assert (first.reason, second.reason) == ("reason 1", "reason 2")
    assert first.by == "postgres"
    assert first.at <= second.at
    assert abs(second.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert row.applied_at == before.applied_at
    assert (await migrations.apply()).warnings == ()


async def test_what_was_not_applied_cannot_be_accepted(migrations: Migrations) -> None:
    """Nor is a change accepted without a reason."""
    with pytest.raises(MigrationError, match="a is not applied"):
        await migrations.accept("a", reason="why")
    await migrations.apply()
    with pytest.raises(MigrationError, match="needs a reason"):
        await migrations.accept("a", reason=" ")


async def test_a_history_made_without_urlmon_gets_hashes(migrations: Migrations) -> None:
    """Accepting a file that something else applied records what it is from now on."""
    select(migrations._url, "CREATE TABLE schema_migrations (version varchar(50) PRIMARY KEY)")
    select(migrations._url, "INSERT INTO schema_migrations VALUES ('a')")
    assert await migrations.accept("a", reason="run by hand")
    (row,) = (await migrations.status()).applied
    assert row.text_hash is not None
    assert row.acceptances[0].text_hash is None


async def test_marks_wait_for_a_migration_that_runs(migrations: Migrations) -> None:
    """Nothing is recorded while another one migrates."""
    await migrations.baseline("c")
    with psycopg.connect(migrations._url, application_name="stuck") as other:
        other.execute(LOCK)
        with pytest.raises(MigrationLockedError, match="stuck"):
            await migrations.accept("a", reason="why", lock_wait=timedelta(0))
        with pytest.raises(MigrationLockedError, match="stuck"):
            await migrations.baseline("a", lock_wait=timedelta(0))


async def test_a_plan_changes_nothing(migrations: Migrations, tmp_path: Path) -> None:
    """It has what would run, in order, while another one migrates too; and makes no table."""
    body = "CREATE INDEX CONCURRENTLY i ON t (a)"
    write(tmp_path, "20250104_d", body, header="-- Transaction: none\n")
    with psycopg.connect(migrations._url) as other:
        other.execute(LOCK)
        plan = await migrations.plan()
    assert [(file.version, file.in_transaction) for file in plan] == [
        ("a", True),
        ("b", True),
        ("c", True),
        ("d", False),
    ]
    (statement,) = plan[3].statements
    assert plan[3].line(statement) == 5
    assert plan[3].sql(statement) == body
    assert select(migrations._url, "SELECT to_regclass('schema_migrations')::text") == [None]


async def test_a_plan_is_refused_as_the_run_would_be(
    migrations: Migrations, tmp_path: Path
) -> None:
    """A late file is in it only where that is allowed; after a run it is empty."""
    await migrations.apply()
    assert await migrations.plan() == ()
    write(tmp_path, "20240101_late", "SELECT 1")
    with pytest.raises(MigrationHistoryError, match="rename it to"):
        await migrations.plan()
    (late,) = await migrations.plan(allow_out_of_order=True)
    assert late.version == "late"
