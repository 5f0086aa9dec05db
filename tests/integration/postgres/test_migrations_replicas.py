"""Many runners at once, runners that die, and runners behind a transaction pooler."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.fixtures.migration_files import write
from tests.fixtures.pooler import transaction_pooler
from tests.fixtures.waiting import until

from urlmon.errors import MigrationError
from urlmon_adapters.postgres._migration_connection import connected
from urlmon_adapters.postgres._migration_ledger import read_applied
from urlmon_adapters.postgres.migrations import MigrationLockedError, Migrations

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from pathlib import Path

REPLICAS = 5
OUTSIDE = "-- Transaction: none\n"
# Not to be run twice, and slow enough that all replicas meet.
LOG = "INSERT INTO log VALUES ('{}'); SELECT pg_sleep(0.1);"

UNTIL_FREE = """
DO $$ BEGIN WHILE NOT pg_try_advisory_xact_lock(7) LOOP PERFORM pg_sleep(0.05); END LOOP; END $$
"""
IN_FILE = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'DO $$ BEGIN WHILE NOT%'"


def write_log(folder: Path) -> None:
    write(folder, "20250101_a", "CREATE TABLE log (version text);" + LOG.format("a"))
    for day, name in enumerate("bcd", start=2):
        write(folder, f"202501{day:02}_{name}", LOG.format(name))


async def start(url: str, folder: Path) -> Process:
    """Start `urlmon migrate` as a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; from urlmon_adapters.cli import main; sys.exit(main(sys.argv[1:]))",
        *("migrate", "--dir", str(folder)),
        env={**os.environ, "DATABASE_URL": url},
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: Process) -> tuple[int | None, str]:
    _, err = await process.communicate()
    return process.returncode, err.decode()


def select(url: str, query: str) -> list[object]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return [value for (value,) in cursor.fetchall()] if cursor.description else []


async def test_processes_that_start_together(empty_postgres_url: str, tmp_path: Path) -> None:
    """On an empty database each file is applied once, and every process succeeds."""
    write_log(tmp_path)
    processes = [await start(empty_postgres_url, tmp_path) for _ in range(REPLICAS)]
    results = await asyncio.gather(*map(ended, processes))
    assert [code for code, _ in results] == [0] * REPLICAS, results
    said = "".join(err for _, err in results)
    assert [said.count(f"applied 202501{day:02}") for day in range(1, 5)] == [1] * 4
    assert select(empty_postgres_url, "SELECT version FROM log") == list("abcd")


async def test_a_runner_that_comes_late(empty_postgres_url: str, tmp_path: Path) -> None:
    """What another runner applied since a runner looked is not applied again."""
    write_log(tmp_path)
    reports = []

    def overtake(told: str) -> None:
        if told == "applied 20250101_a.sql":
            with ThreadPoolExecutor(1) as thread:
                other = Migrations(empty_postgres_url, tmp_path).apply()
                reports.append(thread.submit(asyncio.run, other).result())

    reports.append(await Migrations(empty_postgres_url, tmp_path).apply(tell=overtake))
    assert [report.applied for report in reports] == [("b", "c", "d"), ("a",)]
    assert select(empty_postgres_url, "SELECT version FROM log") == list("abcd")


async def test_a_runner_whose_work_is_done(empty_postgres_url: str, tmp_path: Path) -> None:
    """It does not go on waiting for a lock that it no longer needs."""
    write(tmp_path, "20250101_a", "CREATE TABLE t ()")
    migrations = Migrations(empty_postgres_url, tmp_path)
    await migrations.apply()
    write(tmp_path, "20250102_b", "CREATE TABLE u ()")
    told: list[str] = []
    with psycopg.connect(empty_postgres_url) as other:
        other.execute("SELECT pg_advisory_lock(x'75726c6d6f6e'::bigint)")
        other.commit()
        running = asyncio.create_task(migrations.apply(tell=told.append))
        await until(lambda: told)
        other.execute("INSERT INTO schema_migrations (version) VALUES ('b')")
        other.commit()
        assert (await running).applied == ()


async def test_runners_behind_a_transaction_pooler(empty_postgres_url: str, tmp_path: Path) -> None:
    """The same holds where each transaction gets another session."""
    write_log(tmp_path)
    async with transaction_pooler(empty_postgres_url) as url:
        runs = (Migrations(url, tmp_path).apply() for _ in range(REPLICAS))
        reports = await asyncio.gather(*runs)
    assert sorted(version for report in reports for version in report.applied) == list("abcd")
    assert select(empty_postgres_url, "SELECT version FROM log") == list("abcd")
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    assert select(empty_postgres_url, held) == [0]


async def test_a_runner_that_is_killed(empty_postgres_url: str, tmp_path: Path) -> None:
    """After SIGKILL in the middle of a file the next run does the whole of it."""
    write(tmp_path, "20250101_a", f"CREATE TABLE log (); {UNTIL_FREE}")
    told: list[str] = []
    with psycopg.connect(empty_postgres_url) as gate:
        gate.execute("SELECT pg_advisory_xact_lock(7)")
        process = await start(empty_postgres_url, tmp_path)
        await until(lambda: select(empty_postgres_url, IN_FILE))
        process.kill()
        await process.communicate()
        run = Migrations(empty_postgres_url, tmp_path).apply(tell=told.append)
        again = asyncio.create_task(run)
        await until(lambda: told)
    # The server notices only when its statement ends; until then the lock is held, and rightly so.
    assert told[0].startswith("waiting: another migration is running (pid ")
    assert "urlmon-migrate" in told[0]
    assert (await again).applied == ("a",)


async def test_a_lock_that_is_never_free(empty_postgres_url: str, tmp_path: Path) -> None:
    """The wait ends in time and names the holder; with nothing to do there is no wait at all."""
    write(tmp_path, "20250101_a", "CREATE TABLE t ()")
    migrations = Migrations(empty_postgres_url, tmp_path)
    with psycopg.connect(empty_postgres_url, application_name="stuck") as holder:
        holder.execute("SELECT pg_advisory_xact_lock(x'75726c6d6f6e'::bigint)")
        pid = holder.info.backend_pid
        with pytest.raises(MigrationLockedError, match=rf"is running \(pid {pid}, stuck\)"):
            await migrations.apply(lock_wait=timedelta(seconds=0.2))
        holder.rollback()
        await migrations.apply()
        holder.execute("SELECT pg_advisory_xact_lock(x'75726c6d6f6e'::bigint)")
        assert (await migrations.apply(lock_wait=timedelta(0))).applied == ()


async def test_an_index_built_concurrently(empty_postgres_url: str, tmp_path: Path) -> None:
    """Runners that wait for CREATE INDEX CONCURRENTLY do not keep it waiting."""
    write(tmp_path, "20250101_a", "CREATE TABLE t AS SELECT generate_series(1, 200000) AS a")
    await Migrations(empty_postgres_url, tmp_path).apply()
    write(tmp_path, "20250102_b", "CREATE INDEX CONCURRENTLY i ON t (a)", header=OUTSIDE)
    write(tmp_path, "20250103_c", "INSERT INTO t VALUES (0)")
    runs = (Migrations(empty_postgres_url, tmp_path).apply() for _ in range(REPLICAS))
    reports = await asyncio.gather(*runs)
    assert sorted(version for report in reports for version in report.applied) == ["b", "c"]
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"
    assert select(empty_postgres_url, valid) == [True]
    assert select(empty_postgres_url, "SELECT count(*) FROM t") == [200001]


async def test_an_index_that_failed_is_named(empty_postgres_url: str, tmp_path: Path) -> None:
    """What a failed CREATE INDEX CONCURRENTLY leaves is named, and not taken for the index."""
    write(tmp_path, "20250101_a", "CREATE TABLE t AS SELECT 1 AS a FROM generate_series(1, 2)")
    create = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)"
    write(tmp_path, "20250102_b", create, header=OUTSIDE)
    migrations = Migrations(empty_postgres_url, tmp_path)
    with pytest.raises(MigrationError) as caught:
        await migrations.apply()
    assert str(caught.value).startswith("20250102_b.sql:5:1: could not create unique index")
    assert "It left the invalid index i: run DROP INDEX CONCURRENTLY i" in str(caught.value)
    select(empty_postgres_url, "DELETE FROM t RETURNING a")
    with pytest.raises(MigrationError, match="It left the invalid index i"):
        await migrations.apply()
    select(empty_postgres_url, "DROP INDEX CONCURRENTLY i")
    assert (await migrations.apply()).applied == ("b",)


async def test_outside_a_transaction_a_pooler_is_refused(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    """A session lock behind a pooler would be held by anyone: nothing is run, the fix is told."""
    write(tmp_path, "20250101_a", "CREATE TABLE t (a int)")
    write(tmp_path, "20250102_b", "CREATE INDEX CONCURRENTLY i ON t (a)", header=OUTSIDE)
    async with transaction_pooler(empty_postgres_url) as url:
        with pytest.raises(MigrationError, match="past the pooler in URLMON_MIGRATION_URL"):
            await Migrations(url, tmp_path).apply()
    assert select(empty_postgres_url, "SELECT to_regclass('i')::text") == [None]


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


async def test_a_table_that_was_made_meanwhile(empty_postgres_url: str, tmp_path: Path) -> None:
    """A runner that found no history sees, within its transaction, the one made since."""
    write_log(tmp_path)
    async with connected(empty_postgres_url) as late:
        assert not await read_applied(late)
        async with late.transaction():
            await late.execute("SELECT 1")
            report = await Migrations(empty_postgres_url, tmp_path).apply()
            assert tuple(await read_applied(late)) == report.applied
