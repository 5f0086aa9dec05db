"""`urlmon results copy` between real servers, with the rights of a service."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.influx import opened
from tests.fixtures.influx import stores as influx_stores
from tests.fixtures.recording import in_postgres

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.testing.builders import a_result
from urlmon.testing.clock import FakeClock
from urlmon_adapters.cli import main
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.postgres import build_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.usefixtures("own_surroundings")
NOW = datetime.now(UTC)
SINCE = NOW - timedelta(days=2)
SPAN = Period(since=SINCE, until=NOW + timedelta(minutes=1))
SECOND = timedelta(seconds=1)
TO_INFLUX = ["results", "copy", "--from", "postgresql", "--to", "influxdb"]
TO_POSTGRES = ["results", "copy", "--from", "influxdb", "--to", "postgresql"]
EVERYTHING = ["--since", SINCE.isoformat(), "--until", SPAN.until.isoformat()]


@pytest.fixture(name="environment")
def _environment(
    monkeypatch: pytest.MonkeyPatch, postgres_service_url: str, influx_environment: dict[str, str]
) -> dict[str, str]:
    """The settings of both stores."""
    environment = {"DATABASE_URL": postgres_service_url, **influx_environment}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


def some_results(count: int) -> list[CheckResult]:
    """Make results of several tenants, every seventh failed."""
    tenants = [TenantId.new() for _ in range(3)]
    return [
        a_result(
            tenants[number % 3],
            MonitorId.new(),
            scheduled_at=NOW - number * SECOND,
            error=CheckError(kind=ErrorKind.DNS, message="ends with \\")
            if number % 7 == 0
            else None,
        )
        for number in range(count)
    ]


def put(environment: dict[str, str], results: Sequence[CheckResult]) -> None:
    """Record results in PostgreSQL."""

    async def record() -> None:
        pool = build_pool(environment["DATABASE_URL"], largest=1)
        await open_pool(pool)
        await in_postgres(pool, FakeClock(NOW)).results.record(results)
        await pool.close()

    asyncio.run(record())


def found(environment: dict[str, str]) -> list[CheckResult]:
    """Return what InfluxDB has."""

    async def scan() -> list[CheckResult]:
        names = ("INFLUXDB_URL", "INFLUXDB_TOKEN", "INFLUXDB_ORG", "INFLUXDB_BUCKET")
        url, token, org, bucket = (environment[name] for name in names)
        async with opened(url, token, org=org, bucket=bucket) as influx:
            archive, results, cursor = influx_stores(influx, FakeClock(NOW)).archive, [], ""
            while cursor is not None:
                page = await archive.scan(period=SPAN, cursor=cursor or None)
                results += page.items
                cursor = page.next_cursor
            return results

    return asyncio.run(scan())


def write_line(environment: dict[str, str], line: str) -> None:
    """Write a line to InfluxDB past the library."""
    place = "org={INFLUXDB_ORG}&bucket={INFLUXDB_BUCKET}&precision=us".format(**environment)
    request = urllib.request.Request(  # noqa: S310 - the address of a test server
        f"{environment['INFLUXDB_URL']}/api/v2/write?{place}",
        data=line.encode(),
        headers={"Authorization": f"Token {environment['INFLUXDB_TOKEN']}"},
    )
    with urllib.request.urlopen(request):  # noqa: S310
        pass


def test_a_copy_there_and_back(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """InfluxDB gets everything exactly, also in a second run; PostgreSQL has it all then."""
    results = some_results(1_500)
    put(environment, results)
    for _ in range(2):
        assert main([*TO_INFLUX, *EVERYTHING]) == ExitCode.OK
        out, err = capsys.readouterr()
        assert (out, err) == ("", "1500 results: 1500 stored\n")
        assert sorted(found(environment), key=lambda each: each.identity) == sorted(
            results, key=lambda each: each.identity
        )
    assert main([*TO_POSTGRES, *EVERYTHING, "--json"]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "schema": 1,
        "read": 1_500,
        "new": 0,
        "known": 1_500,
        "stored": 0,
        "refused": {},
        "reached": SPAN.until.isoformat(),
    }


def test_a_bar_for_people(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On a terminal a bar is shown meanwhile, and the result afterwards."""
    put(environment, some_results(3))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert main([*TO_INFLUX, *EVERYTHING]) == ExitCode.OK
    assert capsys.readouterr().err.endswith("3 results: 3 stored\n")


def test_what_is_refused_is_told(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Results older than the target keeps are counted, and the command has not done it all."""
    old = [
        a_result(TenantId.new(), MonitorId.new(), scheduled_at=NOW - days * timedelta(days=1))
        for days in (0, 3, 4)
    ]
    put(environment, old)
    monkeypatch.setenv("URLMON_RETENTION_DAYS", "2")
    since = (NOW - timedelta(days=9)).isoformat()
    assert main([*TO_INFLUX, "--since", since]) == ExitCode.FAILED
    assert capsys.readouterr().err == "3 results: 1 stored\n2 refused: expired\n"


def test_where_to_go_on_is_told(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """After a failure under way everything up to an instant is copied, which is named."""
    results = some_results(2_500)
    put(environment, results)
    assert main([*TO_INFLUX, *EVERYTHING]) == ExitCode.OK
    capsys.readouterr()
    owner = f"monitor_id={MonitorId.new()},success=true,tenant_id={TenantId.new()}"
    at = int((NOW + 2 * SECOND).timestamp() * 1_000_000)
    write_line(environment, f"check_results,location=a,{owner} status_code=200i {at}")
    assert main([*TO_POSTGRES, *EVERYTHING]) == ExitCode.FAILED
    progress, message = capsys.readouterr().err.splitlines()
    last = results[-1_000].scheduled_at.isoformat().replace("+00:00", "Z")
    assert progress == f"copied up to {last}; go on with --since from there"
    assert "the bucket holds what urlmon does not write" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (["--from", "influxdb", "--to", "influxdb", "--since", "2026-01-01"], "--to"),
        (["--from", "files", "--to", "influxdb", "--since", "2026-01-01"], "--from"),
        (["--from", "influxdb", "--to", "postgresql"], "--since"),
        (["--from", "influxdb", "--to", "postgresql", "--since", "yesterday"], "--since"),
        (["--from", "influxdb", "--to", "postgresql", "--since", "1999-12-31"], "--since"),
        (["--from", "influxdb", "--to", "postgresql", "--since", "9999-12-31"], "--since"),
        (
            [*TO_POSTGRES[2:], "--since", "2026-01-02", "--until", "2026-01-02T00:00:00+00:00"],
            "--until",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    options: list[str], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without any settings the option that is wrong is named."""
    assert main(["results", "copy", *options]) == ExitCode.USAGE
    assert wrong in capsys.readouterr().err


def test_settings_of_both_stores_are_needed(capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing is named, all of it."""
    assert main([*TO_INFLUX, "--since", "2026-01-01"]) == ExitCode.CONFIGURATION
    err = capsys.readouterr().err
    assert all(name in err for name in ("DATABASE_URL", "INFLUXDB_URL", "INFLUXDB_TOKEN"))


def test_a_store_that_is_down(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is said which, by one line."""
    assert environment
    monkeypatch.setenv("INFLUXDB_URL", "http://127.0.0.1:9")
    assert main([*TO_INFLUX, *EVERYTHING]) == ExitCode.UNREACHABLE
    err = capsys.readouterr().err
    assert "influxdb" in err
    assert "Traceback" not in err
