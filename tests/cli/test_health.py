"""`urlmon health` against real servers: up, down, silent, refusing the login, not yet there."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from urlmon_adapters._settings_model import known_settings
from urlmon_adapters.cli import main
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.container import PersistenceContainer, running
from urlmon_adapters.servers import RedisServer
from urlmon_adapters.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from urlmon_adapters.servers import InfluxEndpoint

CANARY = "canary-4f1d8a"
MAIN = "import sys; from urlmon_adapters.cli import main; sys.exit(main())"


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Run in an empty folder, and put the handlers of pytest back."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield
    root.handlers[:] = kept
    root.setLevel(level)


@pytest.fixture
def nowhere() -> Iterator[str]:
    """Host and port of a server that is not up: the port is taken, and nobody listens on it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def give(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Set these settings and no others."""
    for name in known_settings(Settings):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def look(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, dict]]:
    """Run the command; return its exit code, and its components by name."""
    code = main(["health", "--json", *options])
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    assert document["serves"] == {
        each["name"]: each["status"] != "fail" for each in document["components"]
    }
    return code, {each["name"]: each for each in document["components"]}


def start() -> None:
    """Start the application, and stop it again."""

    async def start() -> None:
        async with running(PersistenceContainer(settings=Settings.load(os.environ))):
            pass

    asyncio.run(start())


def rejected(url: str) -> str:
    """Return a URL with another password in it."""
    return re.sub(r"(//\w*:)[^@]+(?=@)", rf"\g<1>{CANARY}", url)


@pytest.mark.redis
def test_every_store_serves(
    postgres_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without InfluxDB settings the two stores pass, each a line with its facts below."""
    give(monkeypatch, DATABASE_URL=postgres_url, REDIS_URL=redis_url)
    start()
    assert main(["health"]) == ExitCode.OK

    out, err = capsys.readouterr()
    heads = [line.split() for line in out.splitlines() if not line.startswith(" ")]
    assert err == ""
    assert [(head[0], head[1], head[3]) for head in heads] == [
        ("postgresql", "pass", "ms"),
        ("redis", "pass", "ms"),
    ]
    assert re.search(r"^    migrations: \d+ applied, 0 pending$", out, re.MULTILINE)
    assert "!" not in out
    assert "pool" not in out


@pytest.mark.redis
def test_a_warning_is_no_failure(
    postgres_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Partitions that run out are a warning, which says what to run; the exit code is 0."""
    give(monkeypatch, DATABASE_URL=postgres_url, REDIS_URL=redis_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        ahead = connection.execute(
            "SELECT partition::text FROM check_result_partitions() WHERE from_at > now()"
        ).fetchall()
        for (partition,) in ahead[1:]:
            connection.execute(f"DROP TABLE {partition}".encode())

    code, found = look(capsys)
    assert code == ExitCode.OK
    assert found["postgresql"]["status"] == "warn"
    assert "urlmon partitions ensure" in found["postgresql"]["problems"][0]

    assert main(["health"]) == ExitCode.OK
    assert "    ! partitions of check_results run out" in capsys.readouterr().out


@pytest.mark.redis
def test_a_lost_working_state(
    postgres_url: str,
    own_redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After FLUSHALL the working state is missed, with what brings it back; then all is well."""
    give(monkeypatch, DATABASE_URL=postgres_url, REDIS_URL=own_redis.url)
    start()
    code, found = look(capsys)
    assert (code, found["redis"]["status"]) == (ExitCode.OK, "pass")
    assert found["redis"]["details"]["working state"] == "16 of 16 buckets"

    with own_redis.driver() as driver:
        driver.delete("url-monitor:alert:{b02.0}:whole")
        assert look(capsys)[1]["redis"]["details"]["working state"] == "15 of 16 buckets"
        driver.flushall()
    code, found = look(capsys)
    assert (code, found["redis"]["status"]) == (ExitCode.OK, "warn")
    (problem,) = found["redis"]["problems"]
    assert "in 16 of 16 buckets" in problem
    assert "rebuilt it from PostgreSQL" in problem

    start()
    assert look(capsys)[1]["redis"]["status"] == "pass"


@pytest.mark.redis
def test_a_bucket_gets_its_retention_with_the_first_start(
    postgres_url: str,
    redis_url: str,
    influx_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A missing bucket fails and says so; once the application was started, all three pass."""
    give(monkeypatch, DATABASE_URL=postgres_url, REDIS_URL=redis_url, **influx_environment)
    code, found = look(capsys)
    assert code == ExitCode.FAILED
    assert found["influxdb"]["status"] == "fail"
    assert "INFLUXDB_BUCKET" in found["influxdb"]["problems"][0]

    start()
    code, found = look(capsys)
    assert code == ExitCode.OK
    assert {name: each["status"] for name, each in found.items()} == {
        "postgresql": "pass",
        "influxdb": "pass",
        "redis": "pass",
    }


@pytest.mark.redis
def test_pending_migrations(
    empty_postgres_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A database without the schema fails, and the command to run is named."""
    give(monkeypatch, DATABASE_URL=empty_postgres_url, REDIS_URL=redis_url)
    code, found = look(capsys)
    assert code == ExitCode.FAILED
    assert found["redis"]["status"] != "fail"
    assert "urlmon migrate" in found["postgresql"]["problems"][0]

    assert main(["migrate"]) == ExitCode.OK
    capsys.readouterr()
    assert look(capsys)[0] == ExitCode.OK


def test_all_servers_down(
    nowhere: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stores that are down are a result: each says what to look at, and none shows a secret."""
    give(
        monkeypatch,
        DATABASE_URL=f"postgresql://urlmon:{CANARY}@{nowhere}/urlmon",
        INFLUXDB_URL=f"http://{nowhere}",
        INFLUXDB_TOKEN=CANARY,
        INFLUXDB_ORG="acme",
        REDIS_URL=f"redis://:{CANARY}@{nowhere}/0",
    )
    assert main(["health"]) == ExitCode.FAILED
    out, err = capsys.readouterr()
    assert err == ""
    assert CANARY not in out
    assert out.count("is the server up?") == 3

    code, found = look(capsys)
    assert code == ExitCode.FAILED
    assert list(found) == ["postgresql", "influxdb", "redis"]
    assert {each["status"] for each in found.values()} == {"fail"}


@pytest.mark.redis
def test_rejected_logins(
    postgres_url: str,
    redis_url: str,
    influx_server: InfluxEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong password or token is said to be one, with the setting to mend, and not shown."""
    give(
        monkeypatch,
        **influx_server.environment()
        | {
            "DATABASE_URL": rejected(postgres_url),
            "INFLUXDB_TOKEN": CANARY,
            "REDIS_URL": rejected(redis_url),
        },
    )
    code, found = look(capsys)
    assert code == ExitCode.FAILED
    problems = {name: each["problems"][0] for name, each in found.items()}
    assert "the login failed" in problems["postgresql"]
    assert "DATABASE_URL" in problems["postgresql"]
    assert "token was rejected: check INFLUXDB_TOKEN" in problems["influxdb"]
    assert "REDIS_URL" in problems["redis"]
    assert CANARY not in str(found)


def test_a_silent_server(
    own_redis: RedisServer,
    nowhere: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A server that does not answer costs the time limit and no more."""
    give(
        monkeypatch,
        DATABASE_URL=f"postgresql://u@{nowhere}/urlmon",
        REDIS_URL=own_redis.url,
        URLMON_HEALTH_TIMEOUT_SECONDS="0.3",
    )
    own_redis.pause()
    code, found = look(capsys)
    assert code == ExitCode.FAILED
    assert "no answer within 0.3 s" in found["redis"]["problems"][0]


def test_waiting_for_a_server_that_comes(own_redis: RedisServer, postgres_url: str) -> None:
    """With --wait the command ends as soon as the store serves that was down at first."""
    own_redis.stop()
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "health", "--wait", "40"],
        env=os.environ | {"DATABASE_URL": postgres_url, "REDIS_URL": own_redis.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        assert process.stdout is not None
        try:
            assert process.stderr.readline() == "waiting for redis\n"
            own_redis.start()
            started = time.monotonic()
            out = process.stdout.read()
        finally:
            process.kill()
    assert process.returncode == ExitCode.OK, out
    assert time.monotonic() - started < 30
    assert "fail" not in out


def test_waiting_in_vain(
    nowhere: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the time is over, the last report stands and the exit code is 1."""
    give(
        monkeypatch,
        DATABASE_URL=f"postgresql://u@{nowhere}/urlmon",
        REDIS_URL=f"redis://{nowhere}/0",
    )
    started = time.monotonic()
    assert main(["health", "--wait", "0.6"]) == ExitCode.FAILED
    assert time.monotonic() - started >= 0.6

    out, err = capsys.readouterr()
    assert err == "waiting for postgresql, redis\n"
    assert out.count("fail") == 2
