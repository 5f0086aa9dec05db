from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.fixtures.migration_files import write

from urlmon_adapters._settings_model import known_settings
from urlmon_adapters.cli import main
from urlmon_adapters.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without settings."""
    monkeypatch.chdir(tmp_path)
    for name in known_settings(Settings):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(name="files")
def _files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_postgres_url: str) -> Path:
    """An empty database, and a folder with one migration."""
    monkeypatch.setenv("DATABASE_URL", empty_postgres_url)
    folder = tmp_path / "files"
    folder.mkdir()
    write(folder, "20250101_a", "CREATE TABLE t (a int)", version="001_a")
    return folder


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    out, _ = capsys.readouterr()
    read: dict[str, object] = json.loads(out)
    return read


def test_migrating(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is applied is told; a second call has nothing to do."""
    assert main(["migrate", "--dir", str(files)]) == 0
    assert capsys.readouterr() == ("", "applied 20250101_a.sql\n")
    assert main(["migrate", "--dir", str(files)]) == 0
    assert capsys.readouterr() == ("", "nothing to apply\n")


def test_migrating_as_json(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document says what this call applied."""
    assert main(["migrate", "--dir", str(files), "--json"]) == 0
    assert document(capsys) == {"schema": 1, "applied": ["001_a"], "warnings": []}
    write(files, "20250101_a", "-- why\nCREATE TABLE t (a int)", version="001_a")
    assert main(["migrate", "--dir", str(files), "--json"]) == 0
    assert document(capsys)["warnings"] == [
        "20250101_a.sql was changed after it was applied, but only in comments or space"
    ]


def test_the_schema_of_urlmon(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a folder the migrations of urlmon are applied."""
    assert main(["migrate"]) == 0
    capsys.readouterr()
    assert main(["migrate", "status", "--check"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "state    current"
    assert main(["migrate", "--dir", str(files)]) == 5


def test_the_status_of_each_state(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each state is shown, and has its exit code where that is asked for."""

    def status() -> tuple[int, list[str]]:
        code = main(["migrate", "status", "--check", "--dir", str(files)])
        out = capsys.readouterr().out
        assert main(["migrate", "status", "--dir", str(files)]) == 0
        assert capsys.readouterr().out == out
        return code, out.splitlines()

    code, lines = status()
    assert code == 3
    assert [line.split() for line in lines] == [["pending", "001_a"], ["state", "pending"]]
    assert main(["migrate", "--dir", str(files)]) == 0
    code, lines = status()
    assert code == 0
    assert lines[0].startswith("applied  20")
    assert lines[0].endswith("Z  001_a")
    write(files, "20240101_b", "SELECT 1", version="002_b")
    code, lines = status()
    assert code == 5
    assert lines[1:] == [
        f"pending  {'':20}  002_b  OLDER THAN AN APPLIED ONE",
        "state    out_of_order",
    ]
    write(files, "20250101_a", "CREATE TABLE t (a bigint)", version="001_a")
    code, lines = status()
    assert (code, lines[-1]) == (5, "state    drifted")
    assert lines[0].endswith("001_a  CHANGED SINCE")
    (files / "20250101_a.sql").unlink()
    write(files, "20260101_c", "SELECT 1")
    code, lines = status()
    assert (code, lines[-1]) == (5, "state    diverged")
    assert lines[0].endswith("001_a  NO SUCH FILE HERE")


def test_the_status_as_json(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The document names versions, descriptions and files."""
    assert main(["migrate", "--dir", str(files)]) == 0
    write(files, "20250102_b", "SELECT 1", version="002_b")
    capsys.readouterr()
    assert main(["migrate", "status", "--json", "--check", "--dir", str(files)]) == 3
    found = document(capsys)
    applied = found.pop("applied")
    assert isinstance(applied, list)
    assert applied[0].pop("applied_at")[:2] == "20"
    assert applied == [
        {
            "version": "001_a",
            "description": "about 001_a",
            "file": "20250101_a.sql",
            "assumed": False,
            "acceptances": [],
        }
    ]
    assert found == {
        "schema": 1,
        "state": "pending",
        "pending": [{"version": "002_b", "description": "about 002_b", "file": "20250102_b.sql"}],
        "out_of_order": [],
        "edited": [],
        "drifted": [],
        "ahead": [],
        "diverged": [],
    }


def test_a_plan(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows order, mode and statements, for a person and for a program, and changes nothing."""
    body = "CREATE INDEX CONCURRENTLY i\n  ON t (a)"
    write(files, "20250102_b", body, header="-- Transaction: none\n")
    assert main(["migrate", "--plan", "--dir", str(files)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1. 20250101_a.sql  001_a  (in a transaction)",
        "      4 | CREATE TABLE t (a int)",
        "2. 20250102_b.sql  b  (outside a transaction, over a direct connection)",
        "      5 | CREATE INDEX CONCURRENTLY i",
    ]
    assert main(["migrate", "--plan", "--json", "--dir", str(files)]) == 0
    planned = document(capsys)["plan"]
    assert isinstance(planned, list)
    assert planned[1] == {
        "version": "b",
        "description": "about b",
        "file": "20250102_b.sql",
        "in_transaction": False,
        "statements": [{"line": 5, "sql": body}],
    }
    assert main(["migrate", "status", "--check", "--dir", str(files)]) == 3
    assert main(["migrate", "--dir", str(files)]) == 0
    capsys.readouterr()
    assert main(["migrate", "--plan", "--dir", str(files)]) == 0
    assert capsys.readouterr().out == "nothing to apply\n"


def test_a_baseline(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it assumed is said, and shown by the status; a second one is refused."""
    assert main(["migrate", "baseline", "002_x", "--dir", str(files)]) == 1
    assert main(["migrate", "baseline", "001_a", "--dir", str(files)]) == 0
    assert capsys.readouterr().err.splitlines()[1:] == ["assumed to be applied, and not run: 001_a"]
    assert main(["migrate", "status", "--check", "--dir", str(files)]) == 0
    assert capsys.readouterr().out.startswith("assumed  20")
    assert main(["migrate", "baseline", "001_a", "--dir", str(files), "--json"]) == 5


def test_an_accepted_change(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no drift any more; who accepted it and why is shown."""
    assert main(["migrate", "--dir", str(files)]) == 0
    write(files, "20250101_a", "CREATE TABLE t (a bigint)", version="001_a")
    accept = ["migrate", "accept", "001_a", "--dir", str(files)]
    assert main(accept) == 2
    assert main([*accept, "--reason", "altered by hand"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "accepted 001_a as it is"
    assert main([*accept, "--reason", "altered by hand", "--json"]) == 0
    assert document(capsys)["accepted"] is False
    assert main(["migrate", "status", "--check", "--dir", str(files)]) == 0
    (shown, _) = capsys.readouterr().out.splitlines()
    assert shown.endswith("by postgres: altered by hand")
    assert main(["migrate", "status", "--json", "--dir", str(files)]) == 0
    assert '"reason": "altered by hand"' in capsys.readouterr().out


def test_a_manifest(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that has one is held to it until it is written again."""
    assert main(["migrate", "manifest", "--dir", str(files)]) == 0
    assert capsys.readouterr() == (f"{files / 'manifest.txt'}\n", "")
    write(files, "20250102_b", "SELECT 1")
    assert main(["migrate", "--dir", str(files)]) == 1
    assert "not listed: 20250102_b.sql" in capsys.readouterr().err
    assert main(["migrate", "manifest", "--dir", str(files)]) == 0
    assert main(["migrate", "--dir", str(files)]) == 0


def test_a_failed_file(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Place, line and SQLSTATE are one message on standard error."""
    write(files, "20250102_b", "CREATE TABLE t ();")
    assert main(["migrate", "--dir", str(files)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[:4] == [
        "applied 20250101_a.sql",
        'urlmon: 20250102_b.sql:4:1: relation "t" already exists (SQLSTATE 42P07)',
        "  4 | CREATE TABLE t ();",
        "    | ^",
    ]


def test_a_late_file(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is applied only when that is allowed."""
    assert main(["migrate", "--dir", str(files)]) == 0
    write(files, "20240101_b", "SELECT 1")
    assert main(["migrate", "--dir", str(files)]) == 5
    assert "--allow-out-of-order" in capsys.readouterr().err
    assert main(["migrate", "--dir", str(files), "--allow-out-of-order"]) == 0


def test_a_lock_that_others_hold(
    files: Path, empty_postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has its own exit code."""
    with psycopg.connect(empty_postgres_url, application_name="stuck") as holder:
        holder.execute("SELECT pg_advisory_xact_lock(x'75726c6d6f6e'::bigint)")
        assert main(["migrate", "--dir", str(files), "--lock-wait", "0"]) == 4
    assert "stuck" in capsys.readouterr().err


def test_the_url_for_migrations_comes_first(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is one, DATABASE_URL may lead through a pooler; a dead server is told apart."""
    dead = "postgresql://me:hidden@127.0.0.1:1/x"
    monkeypatch.setenv("URLMON_MIGRATION_URL", dead)
    assert main(["migrate", "--dir", str(files)]) == 6
    assert "hidden" not in capsys.readouterr().err


def test_without_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """Only the database is asked for."""
    assert main(["migrate"]) == 78
    err = capsys.readouterr().err
    assert "DATABASE_URL is missing" in err
    assert "REDIS_URL" not in err


def test_options_of_another_command(capsys: pytest.CaptureFixture[str]) -> None:
    """An option before a subcommand, where it would mean nothing, is a mistake."""
    assert main(["migrate", "--json", "status"]) == 2
    assert "--json goes after 'status'" in capsys.readouterr().out


def test_a_new_migration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its path is printed; it says what it will be."""
    assert main(["migrate", "create", "Alert notes", "text on alerts", "--dir", str(tmp_path)]) == 0
    (path,) = tmp_path.iterdir()
    assert capsys.readouterr() == (f"{path}\n", "")
    assert path.name.endswith("_alert_notes.sql")
    assert path.read_text() == f"-- Migration: {path.stem}\n-- Description: text on alerts\n\n"
