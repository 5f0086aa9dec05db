"""The commands and statements of the pages for operators do what they say."""

from __future__ import annotations

import json
import re
import shutil
from datetime import date
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import AsyncConnection
from tests.docs.calls import opened
from tests.docs.documents import ROOT, blocks, marked, run_shell

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.testing.builders import a_result
from urlmon_adapters.influx._lines import encode
from urlmon_adapters.postgres.migrations import Migrations
from urlmon_adapters.redis import Keys
from urlmon_adapters.servers import PostgresEndpoint

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = ROOT / "docs/reference/schema-and-keys.md"


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def test_migrations(empty_postgres_url: str, tmp_path: Path) -> None:
    """An empty database is migrated, and the frame of a new migration continues the others."""
    folder = shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    files = len(list(folder.glob("*.sql")))
    run_shell(
        marked("migrations", "sh with postgresql"),
        tmp_path,
        {"DATABASE_URL": empty_postgres_url},
        programs={"urlmon": None},
    )
    assert rows(empty_postgres_url, "SELECT count(*) FROM schema_migrations") == [(files,)]
    frame = max(folder.glob("*.sql"))
    assert frame.name in (folder / "manifest.txt").read_text()
    (first, *_) = marked("migrations", "migration")
    shown = first.replace("20270110", frame.name[:8]).splitlines()
    assert frame.read_text().splitlines()[:2] == shown[:2]


async def test_migration_files(postgres_url: str, tmp_path: Path) -> None:
    """Each file that the page shows is one, and does what it is shown for."""
    folder = shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    (folder / "manifest.txt").unlink()
    for number, text in enumerate(marked("migrations", "migration"), start=1):
        (folder / f"209901{number:02}_shown.sql").write_text(text)

    report = await Migrations(postgres_url, folder).apply()
    assert report.applied == ("20270110_alert_links", "20270111_audit_log", "20270112_alert_causes")
    recorded = rows(
        postgres_url, "SELECT version, file FROM schema_migrations WHERE file LIKE '2099%%'"
    )
    assert recorded == [
        (version, f"209901{number:02}_shown.sql")
        for number, version in enumerate(report.applied, start=1)
    ]
    assert rows(postgres_url, "SELECT uuid_generate_v4() IS NOT NULL") == [(True,)]


async def test_an_accepted_change(postgres_url: str, tmp_path: Path) -> None:
    """A file that was changed after it was applied is accepted as it is."""
    folder = shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    (folder / "manifest.txt").unlink()
    (text, *_) = marked("migrations", "migration")
    migrations = Migrations(postgres_url, folder)
    for body in (text, text.replace(" text;", " varchar;")):
        (folder / "20990101_shown.sql").write_text(body)
        if body is text:
            await migrations.apply()
    assert (await migrations.status()).state == "drifted"
    settings = {"DATABASE_URL": postgres_url}
    run_shell(marked("migrations", "sh with drift"), tmp_path, settings, programs={"urlmon": None})
    assert (await migrations.status()).state == "current"


async def test_a_baseline(postgres_url: str, tmp_path: Path) -> None:
    """A schema without a record of how it was made is taken over."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP TABLE schema_migrations")
    texts = marked("migrations", "sh with an unrecorded schema")
    run_shell(texts, tmp_path, {"DATABASE_URL": postgres_url}, programs={"urlmon": None})
    (row,) = (await Migrations(postgres_url).status()).applied
    assert (row.version, row.assumed) == ("001_initial_schema", True)


def test_partitions(postgres_url: str, postgres_server: PostgresEndpoint, tmp_path: Path) -> None:
    """Daily upkeep makes the months ahead, drops the old ones and shows what there is."""
    months = "SELECT partition::text FROM check_result_partitions() ORDER BY from_at"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SELECT create_monthly_partition('2020-01-15')")
    (old, *others) = rows(postgres_url, months)
    assert old == ("check_results_2020_01",)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP TABLE {others[-1][0]}".encode())

    printed = run_shell(
        marked("partitions", "sh with postgresql"),
        tmp_path,
        {"DATABASE_URL": postgres_url},
        programs={"psql": postgres_server.bin_dir, "urlmon": None},
    )
    assert rows(postgres_url, months) == others
    assert str(others[-1][0]) in printed


@pytest.mark.redis
def test_health(postgres_url: str, redis_url: str, tmp_path: Path) -> None:
    """The document has the shape that the page shows."""
    run_shell(
        marked("health", "sh with postgresql and redis"),
        tmp_path,
        {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url},
        programs={"urlmon": None},
    )
    document = json.loads((tmp_path / "health.json").read_text())
    (shown,) = (
        json.loads(block.text)
        for block in blocks(ROOT / "docs/how-to/health.md")
        if block.language == "json"
    )
    assert list(document) == list(shown)
    assert document["serves"] == shown["serves"]
    assert list(document["components"][0]) == list(shown["components"][0])


@pytest.mark.redis
async def test_fence(postgres_url: str, redis_settings: dict[str, str]) -> None:
    """A write with an older fence than the newest one changes nothing."""
    (create,) = marked("schema-and-keys", "sql")
    (example,) = (each.text for each in blocks(REFERENCE) if each.language == "python")
    shown: dict[str, object] = {}
    exec(example, shown)  # noqa: S102 - our own page
    month = date(2026, 6, 1)
    async with (
        await AsyncConnection.connect(postgres_url, autocommit=True) as connection,
        opened(redis_settings | {"DATABASE_URL": postgres_url}) as stores,
    ):
        await connection.execute(create.encode())
        write = shown["write_report"]
        assert await write(stores, connection, month, "first")  # type: ignore[operator]
        assert await write(stores, connection, month, "second")  # type: ignore[operator]
        late = {"month": month, "body": "of a holder that was paused", "fence": 1}
        done = await connection.execute(str(shown["WRITE"]).encode(), late)
        assert done.rowcount == 0
        newest = await connection.execute("SELECT body FROM reports")
        assert await newest.fetchall() == [("second",)]


def test_reference_of_the_tables(postgres_url: str) -> None:
    """Each table stands in the reference with its key, each uniqueness with its name."""
    shown = re.findall(r"^\| `(\w+)` \| .* \| `([^`(]+)` \|", REFERENCE.read_text(), re.MULTILINE)
    found = rows(
        postgres_url,
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'p' AND conparentid = 0 AND connamespace = 'public'::regnamespace",
    )
    assert set(shown) == {
        (table, str(definition)[len("PRIMARY KEY (") : -1]) for table, definition in found
    }
    unique = rows(
        postgres_url,
        "SELECT conname FROM pg_constraint"
        " WHERE contype = 'u' AND connamespace = 'public'::regnamespace",
    )
    assert len(unique) == 2
    assert [name for (name,) in unique if f"`{name}`" not in REFERENCE.read_text()] == []


def test_reference_of_the_indexes(postgres_url: str) -> None:
    """Each index stands in the reference with its table, columns and condition."""
    shown = re.findall(
        r"^\| `(\w+)` \| `([^`]+\([^`]+)`(, unique)? \|", REFERENCE.read_text(), re.MULTILINE
    )
    found = rows(
        postgres_url,
        "SELECT indexrelid::regclass::text, indrelid::regclass, pg_get_indexdef(indexrelid),"
        " indisunique FROM pg_index JOIN pg_class ON oid = indexrelid"
        " WHERE relnamespace = 'public'::regnamespace AND NOT relispartition"
        " AND relname !~ '_(pkey|key)$'",
    )
    assert set(shown) == {
        (
            name,
            re.sub(
                r"WHERE \((.+)\)$",
                r"WHERE \1",
                # The reference names the kind of an index that is no B-tree.
                f"{table} {str(made).partition(' USING ')[2].removeprefix('btree ')}",
            ),
            ", unique" if unique else "",
        )
        for name, table, made, unique in found
    }


def test_reference_of_the_points() -> None:
    """Each tag and field of a point stands in the reference."""
    (line,) = encode([a_result(TenantId.new(), MonitorId.new())])
    measurement, fields, _ = line.decode().split(" ")
    names = re.findall(r"(\w+)=", f"{measurement},{fields}")
    assert len(names) == 16
    for name in names:
        assert f"`{name}`" in REFERENCE.read_text(), name


def test_reference_of_the_keys() -> None:
    """Each key of Redis stands in the reference, in the form that it has."""
    text = REFERENCE.read_text()
    shown = set(re.findall(r"`((?:alert|cache|counter|lock|schedule|session):\{[^`]+)`", text))
    keys, tenant, monitor = Keys("ns:"), TenantId.new(), MonitorId.new()
    built = {
        *keys.alerts(0),
        *keys.outbox(0),
        keys.claim(0, "REQUEST"),
        keys.settled(0, "TRANSITION"),
        keys.whole(0),
        *keys.schedule(0, "LOCATION"),
        keys.checks(0, "LOCATION", "REQUEST"),
        *keys.scheduled(tenant, monitor),
        keys.failures(tenant, monitor),
        keys.sessions("USER"),
        *keys.denial("ID"),
        *keys.cached(tenant, "NAMESPACE", "KEY"),
        keys.generation(tenant, "NAMESPACE"),
        keys.lock("NAME"),
        keys.fence("NAME"),
        keys.released("NAME"),
    }
    forms = {
        re.sub(r"\{b\d\d[.\d]*\}", "{bNN}", key.removeprefix("ns:"))
        .replace(str(tenant), "TENANT")
        .replace(str(monitor), "MONITOR")
        for key in built
    }
    assert shown == forms
    public = {name for name in vars(Keys) if not name.startswith("_")}
    assert public == {
        *("alerts", "whole", "outbox", "claim", "settled", "schedule", "checks", "scheduled"),
        *("failures", "sessions", "denial", "cached", "generation", "lock", "fence", "released"),
    }
