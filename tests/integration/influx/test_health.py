"""The health of InfluxDB, as it is shown to people."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.fixtures.influx import make_token, opened
from tests.integration.influx._servers import answer, answering, rewriting

from urlmon.domain.health import ComponentHealth, HealthStatus
from urlmon_adapters.influx import InfluxHealthCheck, ensure_bucket

if TYPE_CHECKING:
    from urlmon_adapters.influx import Influx
    from urlmon_adapters.servers import InfluxEndpoint

RETENTION = timedelta(days=90)
TOKEN = "canary-6b1f40c2d97e8a35"


async def health(influx: Influx) -> ComponentHealth:
    """Return what the check finds."""
    check = InfluxHealthCheck(influx, retention=RETENTION)
    found = await check.check()
    assert found.name == check.name == "influxdb"
    assert found.latency_us >= 0
    assert TOKEN not in repr(found)
    return found


async def failure(influx: Influx) -> str:
    """Return the one reason why the store does not serve."""
    found = await health(influx)
    assert found.status is HealthStatus.FAIL
    (problem,) = found.problems
    return problem


async def test_a_healthy_server(missing_bucket: Influx, influx_server: InfluxEndpoint) -> None:
    """A bucket that urlmon made passes, with its version and retention."""
    await ensure_bucket(missing_bucket, retention=RETENTION)
    found = await health(missing_bucket)
    assert (found.status, found.problems) == (HealthStatus.PASS, ())
    assert found.version == influx_server.version
    assert found.details == (("bucket", missing_bucket.bucket), ("retention", "91 days"))


async def test_it_writes_nothing(influx: Influx) -> None:
    """A check leaves no point behind."""
    await health(influx)
    seen: list[object] = []
    await influx.query("test", "SHOW MEASUREMENTS", {}, take=seen.append)
    assert seen == []


@pytest.mark.parametrize("days", [30, 400])
async def test_another_retention(missing_bucket: Influx, days: int) -> None:
    """A bucket that keeps points for another time is worth a look."""
    await ensure_bucket(missing_bucket, retention=timedelta(days=days))
    found = await health(missing_bucket)
    assert found.status is HealthStatus.WARN
    (problem,) = found.problems
    assert f"{days + 1} days" in problem
    assert "91 days" in problem


async def test_no_retention(influx: Influx) -> None:
    """So is one that keeps them for ever."""
    found = await health(influx)
    assert found.status is HealthStatus.WARN
    assert "for ever" in found.problems[0]


async def test_a_missing_bucket(missing_bucket: Influx) -> None:
    """A bucket that is not there does not serve."""
    assert "INFLUXDB_BUCKET" in await failure(missing_bucket)


@pytest.mark.parametrize("action", ["read", "write"])
async def test_half_a_token(influx: Influx, influx_server: InfluxEndpoint, action: str) -> None:
    """A token that may only read, or only write, does not serve."""
    server, token = influx_server, await make_token(influx, action)
    async with opened(server.url, token, org=server.org, bucket=influx.bucket) as client:
        problem = await failure(client)
    assert ("lacks a right" if action == "read" else "may not read it") in problem


async def test_a_wrong_token(influx: Influx, influx_server: InfluxEndpoint) -> None:
    """A wrong token does not serve, and the version is known all the same."""
    async with opened(influx_server.url, TOKEN, org=influx.org, bucket=influx.bucket) as client:
        assert "INFLUXDB_TOKEN" in await failure(client)
        assert (await health(client)).version == influx_server.version


async def test_a_server_that_is_down() -> None:
    """A server that is down is a result, not an exception."""
    async with answering(b"") as url:
        pass
    async with opened(url, TOKEN, bucket="b") as client:
        assert "is the server up?" in await failure(client)
        assert (await health(client)).version is None


@pytest.mark.parametrize("body", [b"{}", b"[]", b"<html>", b'{"buckets":[{"id":1}]}'])
async def test_a_strange_server(body: bytes) -> None:
    """So is one that says strange things."""
    async with answering(answer(200, body)) as url, opened(url, TOKEN, bucket="b") as client:
        await failure(client)


@pytest.mark.parametrize("version", ["2.6.1", "v1.8.10", "3.0.0", "unknown", "2", "2.x", ""])
async def test_a_version_that_is_not_supported(
    influx: Influx, influx_server: InfluxEndpoint, version: str
) -> None:
    """A version other than 2.7 and later ones of 2.x is worth a look."""
    server, header = influx_server, b"X-Influxdb-Version: "

    def older(said: bytes) -> bytes:
        return said.replace(header + server.version.encode(), header + version.encode())

    async with (
        rewriting(urlsplit(server.url), older) as url,
        opened(url, server.token, org=server.org, bucket=influx.bucket) as client,
    ):
        found = await health(client)
    assert found.status is HealthStatus.WARN
    assert "2.7 or later" in found.problems[0]


async def test_a_server_that_answers_no_query() -> None:
    """What takes points but gives none back does not serve."""
    rules = b'"retentionRules":[{"everySeconds":7862400}]'
    bucket = answer(200, b'{"buckets":[{"id":"1",' + rules + b"}]}")
    said = (answer(200), bucket, answer(200), answer(500))
    async with answering(*said) as url, opened(url, TOKEN, bucket="b") as client:
        assert "see its log" in await failure(client)


async def test_cancelling_passes_through() -> None:
    """A time limit ends the check."""
    async with answering(None) as url, opened(url, TOKEN, bucket="b") as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await health(client)
