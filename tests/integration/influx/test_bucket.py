"""The bucket is made, and its retention follows the settings."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.influx import make_bucket, make_token, manage, opened, org_id
from tests.integration.influx._calls import everything_said
from tests.integration.influx._servers import answer, answering

from urlmon.errors import StoreError, UnavailableError
from urlmon_adapters.influx import ensure_bucket
from urlmon_adapters.influx._bucket import find_bucket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from urlmon_adapters.influx import Influx
    from urlmon_adapters.servers import InfluxEndpoint

DAY = timedelta(days=1)
TOKEN = "canary-91be04d6a7f3c852"


async def kept(influx: Influx) -> timedelta | None:
    """Return how long the bucket keeps points."""
    bucket = await find_bucket(influx, "test")
    assert bucket is not None
    return bucket.retention


async def test_it_is_made(missing_bucket: Influx) -> None:
    """A bucket that is missing is made, and keeps points a day longer than results are kept."""
    await ensure_bucket(missing_bucket, retention=90 * DAY)
    assert await kept(missing_bucket) == 91 * DAY


async def test_it_is_kept_in_step(missing_bucket: Influx) -> None:
    """Longer, shorter and shorter than its shards: the retention follows, also from "ever"."""
    await make_bucket(missing_bucket)
    assert await kept(missing_bucket) is None
    for days in (90, 400, 30, 1, 3_650):
        for _ in range(2):
            await ensure_bucket(missing_bucket, retention=days * DAY)
            assert await kept(missing_bucket) == (days + 1) * DAY


async def test_what_is_deleted_is_said(
    missing_bucket: Influx, caplog: pytest.LogCaptureFixture
) -> None:
    """A retention that is shortened deletes results, which the log says; a longer one does not."""
    said: list[int] = []
    for days in (90, 400, 30, 30):
        await ensure_bucket(missing_bucket, retention=days * DAY)
        said.append(sum("deletes what is older" in each.message for each in caplog.records))
    assert said == [0, 0, 1, 1]


async def test_many_at_once(missing_bucket: Influx) -> None:
    """Processes that start together make one bucket."""
    await asyncio.gather(*(ensure_bucket(missing_bucket, retention=90 * DAY) for _ in range(8)))
    assert await kept(missing_bucket) == 91 * DAY


async def test_a_token_for_the_bucket_is_enough(
    missing_bucket: Influx, influx_server: InfluxEndpoint
) -> None:
    """Once the bucket exists, a token that may read and write it can also set its retention."""
    await make_bucket(missing_bucket)
    token = await make_token(missing_bucket, "read", "write")
    server, name = influx_server, missing_bucket.bucket
    async with opened(server.url, token, org=server.org, bucket=name) as client:
        await ensure_bucket(client, retention=90 * DAY)
    assert await kept(missing_bucket) == 91 * DAY


async def test_a_token_that_may_not_make_it(influx: Influx, influx_server: InfluxEndpoint) -> None:
    """A token for another bucket is told that the bucket is missing, or out of its reach."""
    token, server = await make_token(influx, "read", "write"), influx_server
    async with opened(server.url, token, org=server.org, bucket="another") as client:
        with pytest.raises(StoreError, match="INFLUXDB_BUCKET") as caught:
            await ensure_bucket(client, retention=90 * DAY)
    assert not isinstance(caught.value, UnavailableError)
    assert token not in everything_said(caught.value)


async def test_a_token_that_may_not_change_it(
    influx: Influx, influx_server: InfluxEndpoint
) -> None:
    """What the server calls unauthorized here is the lack of a right, not a wrong token."""
    token, server = await make_token(influx, "read"), influx_server
    async with opened(server.url, token, org=server.org, bucket=influx.bucket) as client:
        with pytest.raises(StoreError, match=r"lacks a right.*403"):
            await ensure_bucket(client, retention=90 * DAY)


async def test_a_wrong_token(influx: Influx, influx_server: InfluxEndpoint) -> None:
    """A wrong token is named as such."""
    async with opened(influx_server.url, TOKEN, org=influx.org, bucket=influx.bucket) as client:
        with pytest.raises(StoreError, match="INFLUXDB_TOKEN") as caught:
            await ensure_bucket(client, retention=90 * DAY)
    assert TOKEN not in everything_said(caught.value)


async def test_a_missing_organization(influx_server: InfluxEndpoint) -> None:
    """So is an organization that does not exist."""
    server = influx_server
    async with opened(server.url, server.token, org="nobody", bucket="b") as client:
        with pytest.raises(StoreError, match="INFLUXDB_ORG"):
            await ensure_bucket(client, retention=90 * DAY)


async def test_a_server_that_is_down() -> None:
    """A server that is down can be tried again."""
    async with answering(b"") as url:
        pass
    async with opened(url, TOKEN, bucket="b") as client:
        with pytest.raises(UnavailableError):
            await ensure_bucket(client, retention=90 * DAY)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"buckets":1}', b'{"buckets":[{}]}', b"<html>"])
async def test_a_strange_answer(body: bytes) -> None:
    """Only errors of urlmon come out, whatever the server says."""
    async with answering(answer(200, body)) as url, opened(url, TOKEN, bucket="b") as client:
        with pytest.raises(StoreError):
            await ensure_bucket(client, retention=90 * DAY)


async def test_queries_that_read_another_bucket(influx: Influx) -> None:
    """A mapping made by hand, which leads queries elsewhere, is found at the start."""
    elsewhere = await manage(
        influx,
        "POST",
        "/api/v2/buckets",
        {"orgID": await org_id(influx), "name": f"{influx.bucket}-2"},
    )
    mapping = {
        "org": influx.org,
        "bucketID": elsewhere["id"],
        "database": influx.bucket,
        "retention_policy": "autogen",
        "default": True,
    }
    made = await manage(influx, "POST", "/api/v2/dbrps", mapping)
    with pytest.raises(StoreError, match="DBRP"):
        await ensure_bucket(influx, retention=90 * DAY)
    await manage(influx, "DELETE", f"/api/v2/dbrps/{made['id']}?org={influx.org}")
    await ensure_bucket(influx, retention=90 * DAY)
    await manage(influx, "DELETE", f"/api/v2/buckets/{elsewhere['id']}")


@pytest.mark.parametrize("name", ["a/b", "a/autogen", "ä b&c=d"])
async def test_any_name(influx: Influx, influx_server: InfluxEndpoint, name: str) -> None:
    """Queries find a bucket whatever its name is."""
    server, name = influx_server, f"{influx.bucket} {name}"
    async with opened(server.url, server.token, org=server.org, bucket=name) as client:
        await ensure_bucket(client, retention=90 * DAY)
        bucket = await find_bucket(client, "test")
        assert bucket is not None
        await manage(client, "DELETE", f"/api/v2/buckets/{bucket.id}")


@pytest.fixture
async def other_org(influx: Influx) -> AsyncIterator[str]:
    """The name of a second organization; deleted after the test."""
    name = f"org-{influx.bucket}"
    made = await manage(influx, "POST", "/api/v2/orgs", {"name": name})
    yield name
    await manage(influx, "DELETE", f"/api/v2/orgs/{made['id']}")


async def test_a_token_of_another_organization(
    influx: Influx, influx_server: InfluxEndpoint, other_org: str
) -> None:
    """A token that writes to one organization and queries another is found at the start."""
    server = influx_server
    async with opened(server.url, server.token, org=other_org, bucket=influx.bucket) as client:
        with pytest.raises(StoreError, match="INFLUXDB_ORG has to be the token's own"):
            await ensure_bucket(client, retention=90 * DAY)
