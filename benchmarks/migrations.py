"""Measure migrating beside yoyo-migrations, Alembic and dbmate: all that is pending, and nothing.

Run it on an idle machine: .venv/bin/python benchmarks/migrations.py
It installs the others into a temporary folder, with uv and npm, and starts a PostgreSQL of its own.
Every tool gets the same SQL in as many files, each file in a transaction of its own, and is run as
a command, the way a deployment runs it; only the time it takes is looked at, not what it checks.
It prints the rows of the table in docs/reference/performance.md.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from peers import environment

from urlmon_adapters.servers import PostgresServer

COUNTS = (1, 100, 1000)
RUNS = 5
YOYO = ("yoyo-migrations==9.0.0", "psycopg2-binary==2.9.10", "setuptools<81")
ALEMBIC = ("alembic==1.17.2", "psycopg[binary]==3.3.9")
DBMATE = "dbmate@2.36.0"

ENV_PY = """
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = '''
from alembic import op

revision = "{number:04}"
down_revision = {previous!r}

def upgrade():
    op.execute("""{sql}""")
'''


@dataclass(frozen=True)
class Tool:
    """A tool: how files are written for it, and how it is run on a database."""

    name: str
    write: Callable[[Path, int, str], object]
    command: Callable[[Path, str], list[str]]


def sql(number: int) -> str:
    """Return what each migration does: a table, an index on it and a row in it."""
    return (
        f"CREATE TABLE t{number} (id bigint PRIMARY KEY, name text NOT NULL, at timestamptz);\n"
        f"CREATE INDEX i{number} ON t{number} (at);\n"
        f"INSERT INTO t{number} VALUES ({number}, 'a row', now());\n"
    )


def write_urlmon(folder: Path, number: int, text: str) -> None:
    """Write a file for urlmon."""
    head = f"-- Migration: {number:04}\n-- Description: table {number}\n\n"
    (folder / f"20250101_{number:04}.sql").write_text(head + text)


def write_yoyo(folder: Path, number: int, text: str) -> None:
    """Write a file for yoyo."""
    (folder / f"{number:04}.sql").write_text(text)


def write_dbmate(folder: Path, number: int, text: str) -> None:
    """Write a file for dbmate."""
    (folder / f"{number:04}_table.sql").write_text(f"-- migrate:up\n{text}\n-- migrate:down\n")


def write_alembic(folder: Path, number: int, text: str) -> None:
    """Write a revision for Alembic, and its environment beside the first one."""
    versions = folder / "versions"
    versions.mkdir(exist_ok=True)
    (folder / "env.py").write_text(ENV_PY)
    previous = f"{number - 1:04}" if number else None
    revision = REVISION.format(number=number, previous=previous, sql=text)
    (versions / f"{number:04}.py").write_text(revision)


def alembic_command(program: Path, folder: Path, url: str) -> list[str]:
    """Return the call of Alembic, whose URL stands in a file."""
    dialect = url.replace("postgresql://", "postgresql+psycopg://")
    ini = folder / "alembic.ini"
    ini.write_text(f"[alembic]\nscript_location = {folder}\nsqlalchemy.url = {dialect}\n")
    return [str(program), "-c", str(ini), "upgrade", "head"]


def tools(folder: Path) -> list[Tool]:
    """Install the other tools and return all; one that cannot be had is left out and said."""
    urlmon = str(Path(sys.executable).with_name("urlmon"))
    found = [Tool("urlmon", write_urlmon, lambda at, _: [urlmon, "migrate", "--dir", str(at)])]
    yoyo = environment(folder / "yoyo", *YOYO) / "yoyo"
    options = ["apply", "--batch", "--no-config-file"]
    found.append(
        Tool("yoyo", write_yoyo, lambda at, url: [str(yoyo), *options, "-d", url, str(at)])
    )
    alembic = environment(folder / "alembic", *ALEMBIC) / "alembic"
    found.append(Tool("Alembic", write_alembic, lambda at, url: alembic_command(alembic, at, url)))
    dbmate = folder / "npm/node_modules/.bin/dbmate"
    npm = shutil.which("npm")
    if npm is None:
        print("dbmate is left out: there is no npm to install it with")
        return found
    run([npm, "install", "--silent", "--prefix", str(folder / "npm"), DBMATE], {})
    flags = ["--no-dump-schema", "--migrations-dir"]
    found.append(
        Tool(
            "dbmate",
            write_dbmate,
            lambda at, url: [str(dbmate), "--url", f"{url}?sslmode=disable", *flags, str(at), "up"],
        )
    )
    return found


def run(command: list[str], settings: dict[str, str]) -> float:
    """Run a command to its end and return how many milliseconds it took."""
    started = time.perf_counter()
    done = subprocess.run(
        command, env=os.environ | settings, capture_output=True, text=True, check=False
    )
    elapsed = (time.perf_counter() - started) * 1000
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return elapsed


def measure(tool: Tool, count: int, server: PostgresServer, folder: Path) -> tuple[float, float]:
    """Return the time of a fresh run of so many files, and the median of runs without work."""
    database = f"{tool.name.lower()}_{count}"
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {database}".encode())
    url = server.url.removesuffix("/postgres") + f"/{database}"
    folder.mkdir()
    for number in range(count):
        tool.write(folder, number, sql(number))
    command = tool.command(folder, url)
    fresh = run(command, {"DATABASE_URL": url})
    idle = statistics.median(run(command, {"DATABASE_URL": url}) for _ in range(RUNS))
    with psycopg.connect(url) as connection:
        made = connection.execute("SELECT count(*) FROM pg_class WHERE relname ~ '^t[0-9]+$'")
        assert made.fetchone() == (count,), tool.name
    return fresh, idle


def main() -> None:
    """Print the machine and the figures."""
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}"
    )
    with (
        tempfile.TemporaryDirectory() as name,
        tempfile.TemporaryDirectory() as data,
        PostgresServer(Path(data) / "server", version="18") as server,
    ):
        print(f"PostgreSQL {server.version}; {', '.join((*YOYO, *ALEMBIC, DBMATE))}")
        found = tools(Path(name))
        print("| files | " + " | ".join(f"{tool.name}: fresh, no-op" for tool in found) + " |")
        for count in COUNTS:
            cells = []
            for tool in found:
                fresh, idle = measure(tool, count, server, Path(name) / f"{tool.name}{count}")
                cells.append(f"{fresh / 1000:.2f} s, {idle:.0f} ms")
            print(f"| {count} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
