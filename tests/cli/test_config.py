from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from urlmon_adapters._settings_model import known_settings
from urlmon_adapters.cli import main
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-4f1d8a"


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder with a `.env` file and a secret."""
    monkeypatch.chdir(tmp_path)
    for name in known_settings(Settings):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "token").write_text(CANARY)
    (tmp_path / ".env").write_text(
        f"DATABASE_URL=postgresql://urlmon:{CANARY}@127.0.0.1/urlmon\n"
        "INFLUXDB_URL=http://127.0.0.1:8086\nINFLUXDB_TOKEN_FILE=token\nINFLUXDB_ORG=acme\n"
        "URLMON_RETENTION_DAYS=7\n"
    )
    monkeypatch.setenv("REDIS_URL", f"redis://:{CANARY}@127.0.0.1:6379/0")
    monkeypatch.setenv("URLMON_RETENTION_DAYS", "30")


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Every setting is a line: name, value without secrets, origin."""
    assert main(["config"]) == ExitCode.OK

    out, err = capsys.readouterr()
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()}
    assert err == ""
    assert CANARY not in out
    assert set(rows) == set(known_settings(Settings))
    assert rows["DATABASE_URL"].split() == ["postgresql://urlmon:***@127.0.0.1/urlmon", ".env"]
    assert rows["REDIS_URL"].split() == [
        "redis://:***@127.0.0.1:6379/0",
        "the",
        "environment",
    ]
    assert rows["INFLUXDB_TOKEN"].split() == ["***", "the", "file", "token"]
    assert rows["URLMON_RETENTION_DAYS"].split() == ["30", "the", "environment"]
    assert rows["URLMON_MIGRATE"].split() == ["verify", "default"]
    assert rows["URLMON_SECRET_KEY"] == "not set"


def test_document(capsys: pytest.CaptureFixture[str]) -> None:
    """The same as one document, with a stable shape."""
    assert main(["config", "--json"]) == ExitCode.OK

    out, err = capsys.readouterr()
    document = json.loads(out)
    assert err == ""
    assert CANARY not in out
    assert sorted(document) == ["hints", "problems", "schema", "settings"]
    assert document["settings"]["INFLUXDB_TOKEN"] == {"value": "***", "origin": "the file token"}
    assert document["settings"]["URLMON_SECRET_KEY"] == {"value": None, "origin": "not set"}
    assert (document["schema"], document["problems"], document["hints"]) == (1, [], [])


def test_problems(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings that cannot be used are shown all the same, with what is wrong and no secret."""
    monkeypatch.setenv("REDIS_URL", f"redis://user:{CANARY}/0")
    monkeypatch.setenv("URLMON_SECRET_KEY", CANARY)
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("DATABASE_URI", "postgresql://elsewhere")

    assert main(["config"]) == ExitCode.CONFIGURATION
    out, err = capsys.readouterr()
    assert CANARY not in out + err
    assert [line.split()[0] for line in err.splitlines()] == [
        "DATABASE_URL",
        "REDIS_URL",
        "URLMON_SECRET_KEY",
        "DATABASE_URI",
    ]

    assert main(["config", "--json"]) == ExitCode.CONFIGURATION
    document = json.loads(capsys.readouterr().out)
    assert len(document["problems"]) == 3
    assert document["hints"] == [
        "DATABASE_URI is set, DATABASE_URL is not: did you mean DATABASE_URL?"
    ]
