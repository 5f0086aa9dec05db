"""`urlmon partitions` on a real server, with the rights of a service."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from urlmon_adapters.cli import main
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.cli.partitions import _size

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("own_surroundings")
Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(name="owner")
def _owner(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str, postgres_service_url: str
) -> Iterator[Connection]:
    """A session of the owner; the command logs in as a service."""
    monkeypatch.setenv("DATABASE_URL", postgres_service_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def last(owner: Connection) -> str:
    """Return the newest partition."""
    newest = "SELECT partition::text FROM check_result_partitions() ORDER BY from_at DESC LIMIT 1"
    row = owner.execute(newest).fetchone()
    assert row is not None
    return str(row[0])


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    out, err = capsys.readouterr()
    assert err == ""
    read: dict[str, object] = json.loads(out)
    assert read.pop("schema") == 1
    return read


def test_the_list(owner: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    """A table with one line a partition, its columns aligned."""
    assert main(["partitions", "list"]) == ExitCode.OK
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert lines[0].split("  ")[0] == "partition"
    assert len(lines) == 6
    assert len({len(line) for line in lines}) == 1
    now = datetime.now(UTC)
    assert lines[1].startswith(f"check_results_{now:%Y_%m}  {now:%Y-%m}-01 00:00  ")
    assert lines[5].startswith("check_results_default  any other time")
    assert last(owner) in lines[4]


def test_the_list_as_json(owner: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    """One document with bounds as instants in UTC, bytes and rows."""
    assert main(["partitions", "list", "--json"]) == ExitCode.OK
    found = document(capsys)["partitions"]
    assert isinstance(found, list)
    assert len(found) == 5
    assert found[3]["name"] == last(owner)
    assert datetime.fromisoformat(found[3]["from_at"]).utcoffset() == UTC.utcoffset(None)
    assert found[3]["to_at"] > found[3]["from_at"]
    assert found[4] == {
        "name": "check_results_default",
        "from_at": None,
        "to_at": None,
        "size_bytes": found[4]["size_bytes"],
        "row_estimate": 0,
        "is_default": True,
    }
    assert found[4]["size_bytes"] > 0


def test_making(owner: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run shows the months and makes none; the second real run has nothing to make."""
    newest = last(owner)
    month = newest[-7:].replace("_", "-")
    owner.execute(f"DROP TABLE {newest}".encode())
    assert main(["partitions", "ensure", "--dry-run"]) == ExitCode.OK
    assert capsys.readouterr() == (f"{month}\n", "would be made:\n")
    assert last(owner) != newest
    assert main(["partitions", "ensure"]) == ExitCode.OK
    assert capsys.readouterr() == (f"{month}\n", "made:\n")
    assert last(owner) == newest
    assert main(["partitions", "ensure"]) == ExitCode.OK
    assert capsys.readouterr() == ("", "nothing to make\n")
    assert main(["partitions", "ensure", "--json"]) == ExitCode.OK
    assert document(capsys) == {"dry_run": False, "months": []}


def test_dropping(
    owner: Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What goes is by the retention that is set; a dry run shows it and drops nothing."""
    owner.execute("SELECT create_monthly_partition('2020-05-05')")
    monkeypatch.setenv("URLMON_RETENTION_DAYS", "3650")
    assert main(["partitions", "drop"]) == ExitCode.OK
    assert capsys.readouterr() == ("", "nothing to drop\n")
    monkeypatch.delenv("URLMON_RETENTION_DAYS")
    for _ in range(2):
        assert main(["partitions", "drop", "--dry-run"]) == ExitCode.OK
        out, err = capsys.readouterr()
        assert err == "would be dropped:\n"
        assert out.splitlines()[1].startswith("check_results_2020_05  2020-05-01 00:00  2020-06-01")
    assert main(["partitions", "drop", "--json"]) == ExitCode.OK
    found = document(capsys)
    assert isinstance(found["partitions"], list)
    assert [each["name"] for each in found["partitions"]] == ["check_results_2020_05"]
    assert found["dry_run"] is False
    assert main(["partitions", "drop", "--dry-run"]) == ExitCode.OK
    assert capsys.readouterr() == ("", "nothing to drop\n")


@pytest.mark.parametrize("command", ["ensure", "drop"])
def test_a_busy_table(
    owner: Connection, postgres_url: str, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Where a lock is not to be had the exit code says so, and nothing was done."""
    owner.execute(f"DROP TABLE {last(owner)}".encode())
    owner.execute("SELECT create_monthly_partition('2020-05-05')")
    with psycopg.connect(postgres_url) as reader:
        reader.execute("SELECT count(*) FROM check_results")
        assert main(["partitions", command]) == ExitCode.LOCKED
    out, err = capsys.readouterr()
    assert out == ""
    assert "check_results stayed locked, and nothing was changed: call again" in err
    assert "Traceback" not in err
    assert main(["partitions", command]) == ExitCode.OK


def test_no_tables(
    monkeypatch: pytest.MonkeyPatch, empty_postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A database without the schema says what to run."""
    monkeypatch.setenv("DATABASE_URL", empty_postgres_url)
    assert main(["partitions", "ensure"]) == ExitCode.FAILED
    assert capsys.readouterr() == ("", "urlmon: there are no tables yet: run `urlmon migrate`\n")


def test_a_refused_login(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The setting to mend is named, and the password is not shown."""
    place = postgres_url.rpartition("@")[2]
    monkeypatch.setenv("DATABASE_URL", f"postgresql://canary:secret@{place}")
    assert main(["partitions", "list"]) != ExitCode.OK
    out, err = capsys.readouterr()
    assert out == ""
    assert "DATABASE_URL" in err
    assert "secret" not in err


def test_sizes_are_readable() -> None:
    """Three digits at most, in decimal units."""
    sizes = [0, 999, 1_000, 9_949, 10_000, 123_456_789, 5 * 10**15]
    assert [_size(size) for size in sizes] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "9.9 kB",
        "10 kB",
        "123 MB",
        "5000 TB",
    ]
