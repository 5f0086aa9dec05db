"""One runner: what it applies, what it refuses, and what a failure leaves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from attrs import evolve
from tests.fixtures.migration_files import write
from tests.fixtures.waiting import until

from urlmon.errors import MigrationError, UnavailableError
from urlmon_adapters.postgres._sql_scanner import Statement
from urlmon_adapters.postgres.migrations import MigrationLockedError, Migrations

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = "SELECT version, description, file FROM public.schema_migrations ORDER BY applied_at"


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def tables(url: str) -> set[object]:
    return {name for (name,) in rows(url, "SELECT relname FROM pg_class WHERE relkind = 'r'")}


async def test_files_are_applied_in_order_and_once(empty_postgres_url: str, tmp_path: Path) -> None:
    """Each file is applied and recorded; a second call finds nothing to do."""
    write(tmp_path, "20250201_a", "ALTER TABLE t ADD b int", version="002_a")
    write(tmp_path, "20250101_z", "CREATE TABLE t (a int)", version="001_z")
    told: list[str] = []
    report = await Migrations(empty_postgres_url, tmp_path).apply(tell=told.append)
    assert report.applied == ("001_z", "002_a")
    assert report.warnings == ()
    assert told == ["applied 20250101_z.sql", "applied 20250201_a.sql"]
    assert rows(empty_postgres_url, VERSIONS) == [
        ("001_z", "about 001_z", "20250101_z.sql"),
        ("002_a", "about 002_a", "20250201_a.sql"),
    ]
    assert (await Migrations(empty_postgres_url, tmp_path).apply()).applied == ()


async def test_our_own_schema_is_made(empty_postgres_url: str) -> None:
    """The packaged migrations make the tables and the partitions, and then nothing is pending."""
    migrations = Migrations(empty_postgres_url)
    with pytest.raises(MigrationError, match="run `urlmon migrate`"):
        await migrations.verify()
    await migrations.apply()
    await migrations.verify()
    assert {"tenants", "monitors", "alerts", "notification_channels"} <= tables(empty_postgres_url)


@pytest.mark.parametrize(
    ("body", "place", "said"),
    [
        ("SELECT 1;\nSELECT é, nothing\n  FROM nowhere;", "7:8", '"nowhere" does not exist'),
        ("SELECT 1;\n  CREATE TABLE t (a int);", "6:3", '"t" already exists (SQLSTATE 42P07)'),
        ("INSERT INTO t VALUES (1), (1);", "5:1", "detail: Key (a)=(1) already exists."),
        ("DO $$BEGIN\nRAISE 'no' USING HINT = 'never';\nEND$$", "5:1", "hint: never"),
        ("DO $$BEGIN\nRAISE 'no';\nEND$$", "5:1", "in: PL/pgSQL function inline_code_block line 2"),
        (
            "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p;",
            "5:1",
            "the header line -- Transaction: none",
        ),
        ("SELEC 1;", "5:1", "\n  5 | SELEC 1;\n    | ^\n"),
    ],
)
async def test_a_failed_file_leaves_nothing(
    empty_postgres_url: str, tmp_path: Path, body: str, place: str, said: str
) -> None:
    """Its place, SQLSTATE and hint are told; files before it stay; mended, it is applied."""
    write(tmp_path, "20250101_a", "CREATE TABLE t (a int PRIMARY KEY)")
    write(tmp_path, "20250102_b", f"CREATE TABLE u ();\n{body}")
    with pytest.raises(MigrationError) as caught:
        await Migrations(empty_postgres_url, tmp_path).apply()
    message = str(caught.value)
    assert message.startswith(f"20250102_b.sql:{place}: ")
    assert "(SQLSTATE " in message
    assert said in message
    assert message.endswith("Nothing of this file was applied; those before it stay applied.")
    assert tables(empty_postgres_url) & {"t", "u"} == {"t"}
    assert [version for version, _, _ in rows(empty_postgres_url, VERSIONS)] == ["a"]
    write(tmp_path, "20250102_b", "CREATE TABLE u ()")
    assert (await Migrations(empty_postgres_url, tmp_path).apply()).applied == ("b",)


async def test_a_file_that_ends_its_transaction_stops_all(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    """It is refused before any file is run, also those before it."""
    write(tmp_path, "20250101_a", "CREATE TABLE t ()")
    write(tmp_path, "20250102_b", "CREATE TABLE u (); COMMIT; CREATE TABLE v ()")
    with pytest.raises(MigrationError, match="COMMIT is not for migrations"):
        await Migrations(empty_postgres_url, tmp_path).apply()
    assert tables(empty_postgres_url) & {"t", "u", "v", "schema_migrations"} == set()


@pytest.mark.parametrize("hidden", ["COMMIT; SELECT 1", "COMMIT; BEGIN"])
async def test_a_transaction_that_ends_unseen_is_noticed(
    empty_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: str
) -> None:
    """Were a COMMIT overlooked in a file, the run fails, says so, and records nothing."""
    write(tmp_path, "20250101_a", "CREATE TABLE t ()")
    migrations = Migrations(empty_postgres_url, tmp_path)
    (file,) = migrations._files()
    text = f"CREATE TABLE t (); {hidden}; CREATE TABLE u ()"
    taken_for_one = (Statement(0, text.index("CREATE TABLE u") - 2, ("create",)),)
    hiding = evolve(file, text=text)
    vars(hiding)["statements"] = taken_for_one
    monkeypatch.setattr(migrations, "_files", lambda: (hiding,))
    with pytest.raises(MigrationError, match="ended the transaction that it runs in"):
        await migrations.apply()
    assert tables(empty_postgres_url) & {"t", "u", "schema_migrations"} == {
        "t",
        "schema_migrations",
    }
    assert rows(empty_postgres_url, VERSIONS) == []


TRACKING = """
INSERT INTO schema_migrations (version, description)
VALUES ('001_initial_schema', 'Initial schema') ON CONFLICT (version) DO NOTHING;
"""
OWN_TABLE = """
CREATE TABLE {} (
    version VARCHAR(50) PRIMARY KEY, description TEXT, applied_at TIMESTAMPTZ DEFAULT NOW()
);
"""


@pytest.mark.parametrize(
    "own_table",
    [
        "",
        OWN_TABLE.format("schema_migrations"),
        OWN_TABLE.format("IF NOT EXISTS schema_migrations"),
    ],
    ids=["no table", "a table", "a table if there is none"],
)
async def test_a_file_may_record_itself(
    empty_postgres_url: str, tmp_path: Path, own_table: str
) -> None:
    """Files for the usual set-up run as they are: own record, own table, uuid_generate_v4()."""
    body = "CREATE TABLE t (id UUID PRIMARY KEY DEFAULT uuid_generate_v4());"
    write(
        tmp_path,
        "20250101_initial_schema",
        own_table + body + TRACKING,
        version="001_initial_schema",
    )
    write(tmp_path, "20250102_more", "CREATE TABLE u (id uuid DEFAULT uuid_generate_v4());")
    migrations = Migrations(empty_postgres_url, tmp_path)
    assert (await migrations.apply()).applied == ("001_initial_schema", "more")
    assert rows(empty_postgres_url, VERSIONS) == [
        ("001_initial_schema", "Initial schema", "20250101_initial_schema.sql"),
        ("more", "about more", "20250102_more.sql"),
    ]
    await migrations.verify()
    row = "INSERT INTO t DEFAULT VALUES RETURNING substr(id::text, 15, 1)"
    assert rows(empty_postgres_url, row) == [("4",)]


async def test_a_file_may_record_no_other_version(empty_postgres_url: str, tmp_path: Path) -> None:
    """A record that differs from the header is refused, as both would seem to be applied."""
    write(tmp_path, "20250101_a", TRACKING, version="001_inital_schema")
    with pytest.raises(
        MigrationError, match="records the version 001_initial_schema, but its head"
    ):
        await Migrations(empty_postgres_url, tmp_path).apply()
    assert "schema_migrations" not in tables(empty_postgres_url)


async def test_the_uuid_function_is_made_for_those_who_use_it(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    """A database whose files do without it stays free for the extension."""
    write(tmp_path, "20250101_a", "CREATE TABLE t ()")
    await Migrations(empty_postgres_url, tmp_path).apply()
    assert rows(empty_postgres_url, "SELECT to_regproc('uuid_generate_v4')::text") == [(None,)]


async def test_the_uuid_extension(empty_postgres_url: str, tmp_path: Path) -> None:
    """A file that wants the extension gets it, or is told that it does not need it."""
    extension = "SELECT 1 FROM pg_available_extensions WHERE name = 'uuid-ossp'"
    write(
        tmp_path,
        "20250101_a",
        'CREATE EXTENSION IF NOT EXISTS "uuid-ossp";'
        " CREATE TABLE t (id uuid DEFAULT uuid_generate_v4())",
    )
    migrations = Migrations(empty_postgres_url, tmp_path)
    if rows(empty_postgres_url, extension):
        assert (await migrations.apply()).applied == ("a",)
    else:
        with pytest.raises(MigrationError, match="advice: leave the statement out"):
            await migrations.apply()


async def test_what_a_file_sets_stays_in_it(empty_postgres_url: str, tmp_path: Path) -> None:
    """A file like those of pg_dump empties the search path; its record lands where it belongs."""
    write(
        tmp_path,
        "20250101_a",
        "SELECT pg_catalog.set_config('search_path', '', false); SET ROLE pg_monitor;"
        " SET timezone = 'Asia/Kolkata'",
    )
    write(tmp_path, "20250102_b", "CREATE TABLE t AS SELECT current_setting('timezone') AS zone")
    assert (await Migrations(empty_postgres_url, tmp_path).apply()).applied == ("a", "b")
    assert rows(empty_postgres_url, "SELECT zone FROM public.t") == [("UTC",)]


async def test_nothing_of_a_file_stays_in_the_session(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    """Files share a session, and yet what one leaves in it is not there for the next."""
    write(
        tmp_path,
        "20250101_a",
        "CREATE TEMP TABLE scratch (a int); PREPARE p AS SELECT 1; CREATE SEQUENCE s;"
        " SELECT nextval('s'); LISTEN news; SELECT pg_advisory_lock(1); SET SESSION AUTHORIZATION"
        " pg_monitor; DECLARE c CURSOR WITH HOLD FOR SELECT 1; RESET SESSION AUTHORIZATION",
    )
    write(
        tmp_path,
        "20250102_b",
        """CREATE TEMP TABLE scratch (b int); PREPARE p AS SELECT 2;
        DECLARE c CURSOR WITH HOLD FOR SELECT 1; CREATE TABLE left_over AS
        SELECT (SELECT count(*) FROM pg_listening_channels()) + (SELECT count(*) FROM pg_locks
            WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND objid = 1) AS number""",
    )
    assert (await Migrations(empty_postgres_url, tmp_path).apply()).applied == ("a", "b")
    assert rows(empty_postgres_url, "SELECT number FROM left_over") == [(0,)]


async def test_a_constraint_that_was_put_off(empty_postgres_url: str, tmp_path: Path) -> None:
    """One that fails only at the end fails the file, by its name, and not the commit."""
    write(
        tmp_path,
        "20250101_a",
        "CREATE TABLE t (a int PRIMARY KEY, b int REFERENCES t DEFERRABLE INITIALLY DEFERRED);"
        " INSERT INTO t VALUES (1, 2)",
    )
    with pytest.raises(MigrationError, match=r"^20250101_a\.sql:.* \(SQLSTATE 23503\)"):
        await Migrations(empty_postgres_url, tmp_path).apply()
    assert tables(empty_postgres_url) & {"t", "schema_migrations"} == set()


async def test_a_run_needs_one_connection(empty_postgres_url: str, tmp_path: Path) -> None:
    """However many files there are, the server is logged in to once."""
    for day in range(1, 10):
        write(tmp_path, f"2025010{day}_a{day}", f"CREATE TABLE t{day} AS SELECT pg_backend_pid()")
    await Migrations(empty_postgres_url, tmp_path).apply()
    union = " UNION ".join(f"SELECT * FROM t{day}" for day in range(1, 10))
    assert len(rows(empty_postgres_url, union)) == 1


async def test_what_the_database_sets_does_not_matter(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    """Defaults of the database that would break or change a migration are overridden."""
    name = rows(empty_postgres_url, "SELECT current_database()")[0][0]
    for setting in (
        "default_transaction_isolation = 'serializable'",
        "statement_timeout = '200ms'",
        "timezone = 'Asia/Kolkata'",
        "datestyle = 'SQL, DMY'",
        "standard_conforming_strings = off",
        "default_transaction_read_only = on",
    ):
        rows(empty_postgres_url, f"ALTER DATABASE {name} SET {setting}")
    write(
        tmp_path,
        "20250101_a",
        r"SELECT pg_sleep(0.4); CREATE TABLE t AS SELECT 'a\' AS a, timestamptz '2025-02-01' AS at,"
        " current_setting('transaction_isolation') AS isolation",
    )
    migrations = Migrations(empty_postgres_url, tmp_path)
    assert (await migrations.apply()).applied == ("a",)
    (row,) = (await migrations.status()).applied
    assert row.applied_at is not None
    assert abs(row.applied_at - datetime.now(UTC)) < timedelta(minutes=1)
    stored = "SELECT a, extract(epoch FROM at)::bigint, isolation FROM t"
    assert rows(empty_postgres_url, stored) == [("a\\", 1738368000, "read committed")]


async def test_a_file_that_waits_for_a_table_is_tried_again(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    """It lets go between attempts, names who is in the way, and goes on when they have gone."""
    write(tmp_path, "20250101_a", "CREATE TABLE t ()")
    await Migrations(empty_postgres_url, tmp_path).apply()
    write(tmp_path, "20250102_b", "CREATE TABLE u (); ALTER TABLE t ADD a int")
    migrations = Migrations(empty_postgres_url, tmp_path)
    told: list[str] = []
    async with await psycopg.AsyncConnection.connect(
        empty_postgres_url, application_name="reporting"
    ) as reader:
        await reader.execute("SELECT * FROM t")
        with pytest.raises(
            MigrationLockedError, match=rf"pid {reader.info.backend_pid}, reporting"
        ):
            await migrations.apply(lock_wait=timedelta(0))
        assert "u" not in tables(empty_postgres_url)
        running = asyncio.create_task(migrations.apply(tell=told.append))
        await until(lambda: told)
        assert not running.done()
        await asyncio.sleep(2.5)  # two attempts more
        await reader.rollback()
        assert (await running).applied == ("b",)
    assert sum("20250102_b.sql needs a lock held by pid " in line for line in told) == 1


async def test_a_cancelled_run_leaves_nothing(empty_postgres_url: str, tmp_path: Path) -> None:
    """Its statement ends on the server too, so that the next run need not wait for it."""
    write(tmp_path, "20250101_a", "CREATE TABLE t (); SELECT pg_sleep(60)")
    running = asyncio.create_task(Migrations(empty_postgres_url, tmp_path).apply())
    sleeping = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
    await until(lambda: rows(empty_postgres_url, sleeping))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    write(tmp_path, "20250101_a", "CREATE TABLE t ()")
    again = Migrations(empty_postgres_url, tmp_path).apply(lock_wait=timedelta(seconds=5))
    assert (await again).applied == ("a",)


async def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    """It is told apart from a failed migration, without the password."""
    write(tmp_path, "20250101_a", "CREATE TABLE t ()")
    with pytest.raises(UnavailableError) as caught:
        await Migrations("postgresql://me:hidden@127.0.0.1:1/x", tmp_path).apply()
    assert "hidden" not in str(caught.value)


async def test_a_folder_without_migrations_is_a_mistake(tmp_path: Path) -> None:
    """An empty or missing folder does not pass for an up-to-date database."""
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(MigrationError, match=str(folder)):
            await Migrations("postgresql://127.0.0.1:1/x", folder).status()
