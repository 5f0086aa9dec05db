"""A database and files that differ: what is applied all the same, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.fixtures.migration_files import write

from urlmon.errors import MigrationError
from urlmon_adapters.postgres.migrations import MigrationHistoryError, Migrations

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="migrated")
async def _migrated(empty_postgres_url: str, tmp_path: Path) -> Migrations:
    """A database with two migrations from the folder of the test."""
    write(tmp_path, "20250101_a", "CREATE TABLE t (a int);\nSELECT 1;\n")
    write(tmp_path, "20250103_c", "CREATE TABLE u (a int);\n")
    migrations = Migrations(empty_postgres_url, tmp_path)
    await migrations.apply()
    return migrations


async def test_status_of_a_database_without_history(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    """All is pending, and asking makes no table."""
    write(tmp_path, "20250101_a", "SELECT 1")
    status = await Migrations(empty_postgres_url, tmp_path).status()
    assert (status.state, status.applied) == ("pending", ())
    assert [file.version for file in status.pending] == ["a"]
    with psycopg.connect(empty_postgres_url) as connection:
        made = connection.execute("SELECT to_regclass('schema_migrations')").fetchone()
    assert made == (None,)


async def test_status_waits_for_nobody(migrated: Migrations, tmp_path: Path) -> None:
    """While a migration runs the status is that before it."""
    write(tmp_path, "20250104_d", "CREATE TABLE v ()")
    with psycopg.connect(migrated._url) as other:
        other.execute("SELECT pg_advisory_xact_lock(x'75726c6d6f6e'::bigint)")
        other.execute("INSERT INTO schema_migrations (version) VALUES ('d')")
        status = await migrated.status()
    assert status.state == "pending"
    assert [row.version for row in status.applied] == ["a", "c"]


async def test_line_ends_are_no_change(migrated: Migrations, tmp_path: Path) -> None:
    """A checkout with CRLF is the same migration."""
    for name in ("20250101_a.sql", "20250103_c.sql"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert (await migrated.status()).state == "current"
    assert (await migrated.apply()).warnings == ()


async def test_an_edited_comment_is_a_warning(migrated: Migrations, tmp_path: Path) -> None:
    """Comments and space may be edited; it is said, and nothing stops."""
    write(tmp_path, "20250101_a", "-- why\nCREATE TABLE t\n  (a int); SELECT 1;")
    write(tmp_path, "20250104_d", "CREATE TABLE v ()")
    report = await migrated.apply()
    assert report.applied == ("d",)
    assert report.warnings == (
        "20250101_a.sql was changed after it was applied, but only in comments or space",
    )
    await migrated.verify()


async def test_an_edited_statement_stops_all(migrated: Migrations, tmp_path: Path) -> None:
    """Nothing is applied on top of a history that is not the files'."""
    write(tmp_path, "20250101_a", "CREATE TABLE t (a bigint);\nSELECT 1;\n")
    write(tmp_path, "20250104_d", "CREATE TABLE v ()")
    for refused in (migrated.apply, migrated.verify):
        with pytest.raises(MigrationHistoryError, match=r"^20250101_a\.sql was changed after it"):
            await refused()
    status = await migrated.status()
    assert status.state == "drifted"
    assert [file.name for file in status.drifted] == ["20250101_a.sql"]
    assert [file.name for file in status.pending] == ["20250104_d.sql"]


async def test_a_database_may_be_ahead(migrated: Migrations, tmp_path: Path) -> None:
    """What a newer release applied is fine for an older one, which has nothing to do."""
    (tmp_path / "20250103_c.sql").unlink()
    status = await migrated.status()
    assert (status.state, status.ahead) == ("ahead", ("c",))
    report = await migrated.apply()
    assert report.applied == ()
    assert report.warnings == ("the database has c, which is newer than all files here",)
    await migrated.verify()


async def test_a_database_with_another_history_is_refused(
    migrated: Migrations, tmp_path: Path
) -> None:
    """A version that no file has, older than some file, means the wrong database or files."""
    (tmp_path / "20250101_a.sql").unlink()
    assert (await migrated.status()).state == "diverged"
    with pytest.raises(MigrationHistoryError, match=r"^the database has a, which no file here"):
        await migrated.apply()


async def test_a_late_file_is_refused_or_allowed(migrated: Migrations, tmp_path: Path) -> None:
    """A file older than an applied one is never passed over: rename it, or allow it."""
    write(tmp_path, "20250102_b", "CREATE TABLE v ()")
    status = await migrated.status()
    assert status.state == "out_of_order"
    for refused in (migrated.apply, migrated.verify):
        with pytest.raises(MigrationHistoryError, match=r"rename it to \d{8}_b\.sql, or allow"):
            await refused()
    assert (await migrated.apply(allow_out_of_order=True)).applied == ("b",)
    await migrated.verify()


async def test_a_renamed_late_file_is_applied(migrated: Migrations, tmp_path: Path) -> None:
    """The name that the refusal proposes is one that works."""
    late = write(tmp_path, "20250102_b", "CREATE TABLE v ()")
    with pytest.raises(MigrationHistoryError) as caught:
        await migrated.apply()
    late.rename(tmp_path / str(caught.value).partition("rename it to ")[2].partition(",")[0])
    assert (await migrated.apply()).applied == ("b",)


async def test_a_history_made_without_urlmon_is_continued(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    """Files that psql ran and that recorded themselves count as applied; there is no hash yet."""
    write(tmp_path, "20250101_a", "CREATE TABLE t ()", version="001_a")
    write(tmp_path, "20250102_b", "CREATE TABLE u ()", version="002_b")
    with psycopg.connect(empty_postgres_url) as connection:
        connection.execute("CREATE TABLE schema_migrations (version varchar(50) PRIMARY KEY)")
        connection.execute("INSERT INTO schema_migrations VALUES ('001_a')")
    migrations = Migrations(empty_postgres_url, tmp_path)
    status = await migrations.status()
    assert [(row.version, row.applied_at, row.file) for row in status.applied] == [
        ("001_a", None, None)
    ]
    assert (await migrations.apply()).applied == ("002_b",)
    (tmp_path / "20250102_b.sql").unlink()
    assert (await migrations.status()).ahead == ("002_b",)
    with psycopg.connect(empty_postgres_url) as connection:
        connection.execute("INSERT INTO schema_migrations (version) VALUES ('000_x'), ('003_y')")
    status = await migrations.status()
    assert set(status.ahead) == {"002_b", "003_y"}
    assert status.diverged == ("000_x",)


async def test_all_problems_are_told_at_once(migrated: Migrations, tmp_path: Path) -> None:
    """One run shows everything that keeps the files from continuing the history."""
    write(tmp_path, "20250101_a", "CREATE TABLE t (a bigint)")
    write(tmp_path, "20250102_b", "SELECT 1")
    with pytest.raises(MigrationError) as caught:
        await migrated.apply()
    assert len(str(caught.value).splitlines()) == 2
