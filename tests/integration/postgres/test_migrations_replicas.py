"""Many runners at once, runners that die, and runners behind a transaction pooler."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.fixtures.migration_files import ended, select, start, write
from tests.fixtures.pgbouncer import pgbouncer
from tests.fixtures.waiting import until

from urlmon_adapters.postgres._migration_connection import connected
from urlmon_adapters.postgres._migration_ledger import read_applied
from urlmon_adapters.postgres.migrations import MigrationLockedError, Migrations

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

REPLICAS = 20
# Not to be run twice, and slow enough that all replicas meet.
LOG = "INSERT INTO log VALUES ('{}'); SELECT pg_sleep(0.1);"

UNTIL_FREE = """
DO $$ BEGIN WHILE NOT pg_try_advisory_xact_lock(7) LOOP PERFORM pg_sleep(0.05); END LOOP; END $$
"""
HELD = """
SELECT pid FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
WHERE locktype = 'advisory' AND datname = current_database()
"""
IN_FILE = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'DO $$ BEGIN WHILE NOT%'"


def write_log(folder: Path) -> None:
    write(folder, "20250101_a", "CREATE TABLE log (version text);" + LOG.format("a"))
    for day, name in enumerate("bcd", start=2):
        write(folder, f"202501{day:02}_{name}", LOG.format(name))


@pytest.mark.parametrize("before", [contextlib.nullcontext, pgbouncer])
async def test_processes_that_start_together(
    empty_postgres_url: str,
    tmp_path: Path,
    before: Callable[[str], AbstractContextManager[str]],
) -> None:
    """On an empty database each file is applied once, and every process succeeds.

    So it is too where a pooler gives each transaction another session.
    """
    write_log(tmp_path)
    with before(empty_postgres_url) as url:
        processes = [await start(url, tmp_path) for _ in range(REPLICAS)]
        results = await asyncio.gather(*map(ended, processes))
        assert [code for code, _ in results] == [0] * REPLICAS, results
        said = "".join(err for _, err in results)
        assert [said.count(f"applied 202501{day:02}") for day in range(1, 5)] == [1] * 4
        assert select(empty_postgres_url, "SELECT version FROM log") == list("abcd")
        assert select(empty_postgres_url, HELD) == []


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


async def test_a_runner_killed_in_a_file(empty_postgres_url: str, tmp_path: Path) -> None:
    """After SIGKILL in the middle of a file the next run does the whole of it, and soon."""
    write(tmp_path, "20250101_a", f"CREATE TABLE log (); {UNTIL_FREE}")
    with psycopg.connect(empty_postgres_url) as gate:
        gate.execute("SELECT pg_advisory_xact_lock(7)")
        process = await start(empty_postgres_url, tmp_path)
        await until(lambda: select(empty_postgres_url, IN_FILE))
        process.kill()
        await ended(process)
        # The server notices although its statement does not end.
        await until(lambda: not select(empty_postgres_url, IN_FILE))
    assert (await Migrations(empty_postgres_url, tmp_path).apply()).applied == ("a",)


async def test_a_runner_killed_between_files(empty_postgres_url: str, tmp_path: Path) -> None:
    """After SIGKILL the next run goes on where the record ends."""
    write_log(tmp_path)
    process = await start(empty_postgres_url, tmp_path)
    assert process.stderr is not None
    assert await process.stderr.readline() == b"applied 20250101_a.sql\n"
    process.kill()
    await ended(process)
    report = await Migrations(empty_postgres_url, tmp_path).apply()
    assert report.applied[-1] == "d"
    assert select(empty_postgres_url, "SELECT version FROM log") == list("abcd")


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


async def test_a_table_that_was_made_meanwhile(empty_postgres_url: str, tmp_path: Path) -> None:
    """A runner that found no history sees, within its transaction, the one made since."""
    write_log(tmp_path)
    async with connected(empty_postgres_url) as late:
        assert not await read_applied(late)
        async with late.transaction():
            await late.execute("SELECT 1")
            report = await Migrations(empty_postgres_url, tmp_path).apply()
            assert tuple(await read_applied(late)) == report.applied
