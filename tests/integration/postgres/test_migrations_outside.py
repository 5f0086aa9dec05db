"""Statements outside of a transaction: indexes built concurrently, and what is left of them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.fixtures.migration_files import ended, select, start, write
from tests.fixtures.pgbouncer import pgbouncer
from tests.fixtures.waiting import until

from urlmon.errors import MigrationError
from urlmon_adapters.postgres.migrations import Migrations

if TYPE_CHECKING:
    from pathlib import Path

WAITERS = 5
OUTSIDE = "-- Transaction: none\n"
BUILDING = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%'"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"


async def test_an_index_built_concurrently(empty_postgres_url: str, tmp_path: Path) -> None:
    """Runners that wait for CREATE INDEX CONCURRENTLY do not keep it waiting."""
    write(tmp_path, "20250101_a", "CREATE TABLE t AS SELECT generate_series(1, 200000) AS a")
    await Migrations(empty_postgres_url, tmp_path).apply()
    write(tmp_path, "20250102_b", "CREATE INDEX CONCURRENTLY i ON t (a)", header=OUTSIDE)
    write(tmp_path, "20250103_c", "INSERT INTO t VALUES (0)")
    runs = (Migrations(empty_postgres_url, tmp_path).apply() for _ in range(WAITERS))
    reports = await asyncio.gather(*runs)
    assert sorted(version for report in reports for version in report.applied) == ["b", "c"]
    assert select(empty_postgres_url, VALID) == [True]
    assert select(empty_postgres_url, "SELECT count(*) FROM t") == [200001]


async def test_an_index_that_failed_is_repaired(empty_postgres_url: str, tmp_path: Path) -> None:
    """What a failed CREATE INDEX CONCURRENTLY leaves is named; the next run builds it again."""
    write(tmp_path, "20250101_a", "CREATE TABLE t AS SELECT 1 AS a FROM generate_series(1, 2)")
    create = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)"
    write(tmp_path, "20250102_b", create, header=OUTSIDE)
    migrations = Migrations(empty_postgres_url, tmp_path)
    for _ in range(2):
        with pytest.raises(MigrationError) as caught:
            await migrations.apply()
        assert str(caught.value).startswith("20250102_b.sql:5:1: could not create unique index")
        assert "It left the invalid index i, which the next run drops" in str(caught.value)
    select(empty_postgres_url, "DELETE FROM t RETURNING a")
    told: list[str] = []
    assert (await migrations.apply(tell=told.append)).applied == ("b",)
    assert told[0] == "dropping the invalid index i, which an interrupted run left"
    assert select(empty_postgres_url, VALID) == [True]


async def test_an_interrupted_index_is_repaired(empty_postgres_url: str, tmp_path: Path) -> None:
    """A runner killed while it builds an index leaves it invalid; the next one builds it again."""
    write(tmp_path, "20250101_a", 'CREATE SCHEMA s; CREATE TABLE s."T" (a int)')
    create = 'CREATE INDEX CONCURRENTLY "I i" ON s."T" USING btree (a)'
    await Migrations(empty_postgres_url, tmp_path).apply()
    write(tmp_path, "20250102_b", create, header=OUTSIDE)
    writing = psycopg.connect(empty_postgres_url)
    with writing:
        writing.execute('INSERT INTO s."T" VALUES (1)')
        process = await start(empty_postgres_url, tmp_path)
        left = "SELECT 1 FROM pg_index WHERE NOT indisvalid"
        await until(lambda: select(empty_postgres_url, left))
        process.kill()
        await ended(process)
        # The server notices, although the statement still waits for the other transaction.
        await until(lambda: not select(empty_postgres_url, BUILDING))
    assert select(empty_postgres_url, left) == [1]
    told: list[str] = []
    report = await Migrations(empty_postgres_url, tmp_path).apply(tell=told.append)
    assert report.applied == ("b",)
    assert told[0] == 'dropping the invalid index s."I i", which an interrupted run left'
    assert select(empty_postgres_url, left) == []
    assert select(empty_postgres_url, """SELECT to_regclass('s."I i"') IS NOT NULL""") == [True]


async def test_an_index_that_was_not_recorded(empty_postgres_url: str, tmp_path: Path) -> None:
    """A runner killed when its index is whole, and not recorded yet, has the next one record it."""
    write(tmp_path, "20250101_a", "CREATE TABLE t (a int)")
    await Migrations(empty_postgres_url, tmp_path).apply()
    write(tmp_path, "20250102_b", "CREATE INDEX CONCURRENTLY i ON t (a)", header=OUTSIDE)
    with psycopg.connect(empty_postgres_url) as gate:
        gate.execute("LOCK TABLE schema_migrations IN SHARE ROW EXCLUSIVE MODE")
        process = await start(empty_postgres_url, tmp_path)
        recording = (
            "FROM pg_stat_activity WHERE query LIKE '%INTO schema_migrations AS%'"
            " AND wait_event_type = 'Lock' AND datname = current_database()"
        )
        await until(lambda: select(empty_postgres_url, f"SELECT 1 {recording}"))
        process.kill()
        await ended(process)
        select(empty_postgres_url, f"SELECT pg_terminate_backend(pid) {recording}")
        await until(lambda: not select(empty_postgres_url, f"SELECT 1 {recording}"))
    assert select(empty_postgres_url, VALID) == [True]
    assert select(empty_postgres_url, "SELECT version FROM schema_migrations") == ["a"]
    assert (await Migrations(empty_postgres_url, tmp_path).apply()).applied == ("b",)
    assert select(empty_postgres_url, VALID) == [True]
    assert select(empty_postgres_url, "SELECT version FROM schema_migration_attempts") == []


async def test_who_keeps_an_index_waiting_is_told(empty_postgres_url: str, tmp_path: Path) -> None:
    """A statement outside of a transaction waits as long as it takes, and says once for whom."""
    write(tmp_path, "20250101_a", "CREATE TABLE t (a int)")
    await Migrations(empty_postgres_url, tmp_path).apply()
    write(tmp_path, "20250102_b", "CREATE INDEX CONCURRENTLY i ON t (a)", header=OUTSIDE)
    told: list[str] = []
    with psycopg.connect(empty_postgres_url, application_name="reporting") as writing:
        writing.execute("INSERT INTO t VALUES (1)")
        run = Migrations(empty_postgres_url, tmp_path).apply(tell=told.append)
        running = asyncio.create_task(run)
        await until(lambda: told)
        await asyncio.sleep(1.5)  # longer than the lock_timeout of other files
        assert not running.done()
        writing.commit()
        assert (await running).applied == ("b",)
        waits = [line for line in told if f"pid {writing.info.backend_pid}, reporting" in line]
    assert len(waits) == 1
    assert waits[0].startswith("waiting for ")


async def test_an_index_that_someone_else_builds(empty_postgres_url: str, tmp_path: Path) -> None:
    """An index that is not valid yet, because someone is building it, is left to them."""
    write(tmp_path, "20250101_a", "CREATE TABLE t (a int)")
    await Migrations(empty_postgres_url, tmp_path).apply()
    create = "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)"
    write(tmp_path, "20250102_b", create, header=OUTSIDE)
    told: list[str] = []
    with psycopg.connect(empty_postgres_url) as writing, ThreadPoolExecutor(1) as thread:
        writing.execute("INSERT INTO t VALUES (1)")
        building = thread.submit(select, empty_postgres_url, create)
        await until(lambda: select(empty_postgres_url, "SELECT to_regclass('i') IS NOT NULL")[0])
        running = asyncio.create_task(
            Migrations(empty_postgres_url, tmp_path).apply(tell=told.append)
        )
        await until(lambda: told)
        writing.commit()
        building.result()
        assert (await running).applied == ("b",)
    assert told[0].endswith("is building the index i")
    assert told[1:] == ["applied 20250102_b.sql"]


async def test_outside_a_transaction_a_pooler_is_refused(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    """A session lock behind a pooler would be held by anyone: nothing is run, the fix is told."""
    write(tmp_path, "20250101_a", "CREATE TABLE t (a int)")
    write(tmp_path, "20250102_b", "CREATE INDEX CONCURRENTLY i ON t (a)", header=OUTSIDE)
    with pgbouncer(empty_postgres_url) as url:
        with pytest.raises(MigrationError, match=r"^20250102_b.sql .* in URLMON_MIGRATION_URL"):
            await Migrations(url, tmp_path).apply()
        assert select(empty_postgres_url, "SELECT to_regclass('t')::text") == [None]
        assert (await Migrations(empty_postgres_url, tmp_path).apply()).applied == ("a", "b")
        assert (await Migrations(url, tmp_path).apply()).applied == ()


async def test_a_lock_that_another_session_holds_is_noticed(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    """Where a pooler passed for the server, the lock that stays behind is told of."""
    write(tmp_path, "20250101_a", "SELECT pg_advisory_unlock_all()", header=OUTSIDE)
    with pytest.raises(MigrationError, match="the lock was taken in another session"):
        await Migrations(empty_postgres_url, tmp_path).apply()


async def test_a_record_that_was_lost(empty_postgres_url: str, tmp_path: Path) -> None:
    """What a run made before it was killed, and did not record, is said how to go on with."""
    write(tmp_path, "20250101_a", "CREATE TABLE t (a int); CREATE INDEX i ON t (a)")
    write(tmp_path, "20250102_b", "CREATE INDEX CONCURRENTLY i ON t (a)", header=OUTSIDE)
    migrations = Migrations(empty_postgres_url, tmp_path)
    with pytest.raises(MigrationError, match="advice: if a run that was interrupted made it"):
        await migrations.apply()
    create = "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)"
    write(tmp_path, "20250102_b", create, header=OUTSIDE)
    assert (await migrations.apply()).applied == ("b",)
