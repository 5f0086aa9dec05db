"""Every way in which a server can fail is told apart, and never says the token."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.influx import make_token, opened, stores
from tests.fixtures.proxy import Proxy
from tests.integration.influx._calls import (
    CALLS,
    MONITOR,
    READS,
    TENANT,
    WRITES,
    error_of,
    everything_said,
    recent,
)
from tests.integration.influx._servers import answer, answering, rows

from urlmon.domain.check_results import LONGEST_MESSAGE, MAX_BATCH, CheckError, ErrorKind
from urlmon.domain.fates import STORED
from urlmon.errors import CorruptDataError, StoreError, UnavailableError
from urlmon.testing.builders import a_result
from urlmon.testing.clock import FakeClock

if TYPE_CHECKING:
    from urlmon_adapters.influx import Influx
    from urlmon_adapters.servers import InfluxEndpoint

TOKEN = "canary-3e9d0c51f7a84bd2"
RECORD = "CheckResultStore.record"


@pytest.fixture
def clock() -> FakeClock:
    """A clock at noon of a day."""
    return FakeClock()


@pytest.mark.parametrize("operation", CALLS)
async def test_a_wrong_token(
    influx: Influx, influx_server: InfluxEndpoint, clock: FakeClock, operation: str
) -> None:
    """A token that the server does not know is an answer, and is named as the reason."""
    server = influx_server
    async with opened(server.url, TOKEN, org=server.org, bucket=influx.bucket) as client:
        error = await error_of(operation, stores(client, clock))
    assert type(error) is StoreError
    assert "INFLUXDB_TOKEN" in error.detail
    assert "401" in error.detail
    assert TOKEN not in everything_said(error)


@pytest.mark.parametrize("operation", WRITES)
async def test_a_token_that_may_only_read(
    influx: Influx, influx_server: InfluxEndpoint, clock: FakeClock, operation: str
) -> None:
    """What lacks the right to write can read, and is told what it lacks."""
    server, token = influx_server, await make_token(influx, "read")
    async with opened(server.url, token, org=server.org, bucket=influx.bucket) as client:
        recording = stores(client, clock)
        error = await error_of(operation, recording)
        assert await recording.results.latest(TENANT, [MONITOR]) == {}
    assert type(error) is StoreError
    assert "lacks a right" in error.detail
    assert "403" in error.detail


@pytest.mark.parametrize("operation", READS)
async def test_a_token_that_may_only_write(
    influx: Influx, influx_server: InfluxEndpoint, clock: FakeClock, operation: str
) -> None:
    """What lacks the right to read can write; the server hides the bucket from its reads."""
    server, token = influx_server, await make_token(influx, "write")
    async with opened(server.url, token, org=server.org, bucket=influx.bucket) as client:
        recording = stores(client, clock)
        error = await error_of(operation, recording)
        result = a_result(TENANT, MONITOR, scheduled_at=clock.now())
        assert await recording.results.record([result]) == (STORED,)
    assert type(error) is StoreError
    assert "may not read it" in error.detail


@pytest.mark.parametrize("operation", CALLS)
async def test_a_missing_bucket(missing_bucket: Influx, clock: FakeClock, operation: str) -> None:
    """A bucket that is not there is an answer, never "no results"."""
    error = await error_of(operation, stores(missing_bucket, clock))
    assert type(error) is StoreError
    assert "INFLUXDB_BUCKET" in error.detail
    assert "404" in error.detail


@pytest.mark.parametrize("operation", WRITES)
async def test_a_missing_organization(
    influx: Influx, influx_server: InfluxEndpoint, clock: FakeClock, operation: str
) -> None:
    """So is an organization."""
    server = influx_server
    async with opened(server.url, server.token, org="nobody", bucket=influx.bucket) as client:
        error = await error_of(operation, stores(client, clock))
    assert type(error) is StoreError
    assert "INFLUXDB_ORG" in error.detail


@pytest.mark.parametrize("operation", CALLS)
async def test_nobody_listens(clock: FakeClock, operation: str) -> None:
    """A server that is down can be tried again, and has applied nothing."""
    async with answering(b"") as url:
        pass
    async with opened(url, TOKEN, bucket="b") as client:
        error = await error_of(operation, stores(client, clock))
    assert isinstance(error, UnavailableError)
    assert not error.maybe_applied
    assert TOKEN not in everything_said(error)


@pytest.mark.parametrize("operation", CALLS)
async def test_a_server_that_stays_silent(clock: FakeClock, operation: str) -> None:
    """A call ends at its time limit; a write may have been applied."""
    async with (
        answering(None) as url,
        opened(url, TOKEN, bucket="b", timeout_seconds=0.1) as client,
    ):
        error = await error_of(operation, stores(client, clock))
    assert isinstance(error, UnavailableError)
    assert error.maybe_applied == (operation in WRITES)
    assert TOKEN not in everything_said(error)


@pytest.mark.parametrize("operation", CALLS)
async def test_a_lost_reply(influx: Influx, clock: FakeClock, operation: str) -> None:
    """Where only the reply is lost a write has been applied, and the same call then succeeds."""
    async with (
        Proxy(influx._http._url) as proxy,
        opened(
            proxy.url, influx._http._token.reveal(), org=influx.org, bucket=influx.bucket
        ) as client,
    ):
        recording = stores(client, clock)
        proxy.lose_replies()
        error = await error_of(operation, recording)
        assert isinstance(error, UnavailableError)
        assert error.maybe_applied == (operation in WRITES)
        await CALLS[operation](recording)
    if operation == RECORD:
        assert len(await stores(influx, clock).results.latest(TENANT, [MONITOR])) == 1


@pytest.mark.parametrize(
    ("status", "unavailable", "maybe_applied", "words"),
    [
        (302, False, False, "INFLUXDB_URL"),
        (400, False, False, "2.7"),
        (408, True, True, "in time"),
        (413, False, False, "larger"),
        (418, False, False, "refused"),
        (422, False, False, "part"),
        (429, True, False, "too much"),
        (500, True, True, "log"),
        (502, True, True, "proxy"),
        (503, True, True, "not ready"),
        (504, True, True, "proxy"),
        (599, True, True, "log"),
    ],
)
async def test_each_status(
    clock: FakeClock, status: int, *, unavailable: bool, maybe_applied: bool, words: str
) -> None:
    """A status says whether to try again, whether a write can have happened, and what to do."""
    async with (
        answering(answer(status, b'{"code":"x"}', "Location: http://127.0.0.1:9/")) as url,
        opened(url, TOKEN, bucket="b") as client,
    ):
        recording = stores(client, clock)
        for operation in CALLS:
            error = await error_of(operation, recording)
            assert isinstance(error, UnavailableError) == unavailable
            if isinstance(error, UnavailableError):
                assert error.maybe_applied == (maybe_applied and operation in WRITES)
            assert words in error.detail
            assert str(status) in error.detail
            assert TOKEN not in everything_said(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), None),
        (("Retry-After: 7",), 7),
        (("Retry-After: 0",), 0),
        (("Retry-After: 999999999",), 86_400),
        (("Retry-After: -1",), None),
        (("Retry-After: 1e3",), None),
        (("Retry-After: soon",), None),
        (("Retry-After: Mon, 15 Jun 99999999999999999999 12:00:00 GMT",), None),
        (("Retry-After: \u0663".encode().decode("latin-1"),), None),
        (
            (
                "Date: Mon, 15 Jun 2026 12:00:00 GMT",
                "Retry-After: Mon, 15 Jun 2026 12:01:30 GMT",
            ),
            90,
        ),
        (("Date: never", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"), 0),
        (("Retry-After: Sun, 06 Nov 2194 08:49:37 GMT",), 86_400),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_asks_to_wait(
    clock: FakeClock, status: int, headers: tuple[str, ...], seconds: int | None
) -> None:
    """What `Retry-After` asks for is in the error, in whichever of its forms; nonsense is not."""
    async with (
        answering(answer(status, b"{}", *headers)) as url,
        opened(url, TOKEN, bucket="b") as client,
    ):
        for operation in CALLS:
            error = await error_of(operation, stores(client, clock))
            assert isinstance(error, UnavailableError)
            expected = None if seconds is None else timedelta(seconds=seconds)
            assert error.retry_after == expected


@pytest.mark.parametrize(
    "said", [b"-ERR unknown command\r\n", b"HTTP/1.1 banana\r\n\r\n", b"\x00" * 100]
)
async def test_what_is_no_http(clock: FakeClock, said: bytes) -> None:
    """A server of another kind is named as such, without the token that was sent to it."""
    async with answering(said) as url, opened(url, TOKEN, bucket="b") as client:
        for operation in CALLS:
            error = await error_of(operation, stores(client, clock))
            assert "INFLUXDB_URL" in error.detail
            assert TOKEN not in everything_said(error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>welcome</html>",
        b"{}",
        b"[]",
        b"null",
        b'{"results":[]}',
        rows(partial=True),
        rows(series=[{"columns": ["time"]}]),
        rows(series=[{"tags": {}, "columns": ["time"], "values": [[1]]}]),
        rows(series=[{"tags": None, "columns": None, "values": None}]),
        rows(series=[{"columns": ["time"], "values": [["\x00", {}]]}]),
    ],
)
async def test_what_is_no_answer_to_a_query(clock: FakeClock, body: bytes) -> None:
    """A good status with a strange body is never taken for "no results"."""
    async with answering(answer(200, body)) as url, opened(url, TOKEN, bucket="b") as client:
        for operation in READS:
            assert isinstance(await error_of(operation, stores(client, clock)), CorruptDataError)


async def test_an_answer_that_breaks_off(clock: FakeClock) -> None:
    """What ends before its promised length is not read as the whole."""
    cut = answer(200, rows(), length=1_000)
    async with answering(cut) as url, opened(url, TOKEN, bucket="b") as client:
        for operation in READS:
            assert isinstance(await error_of(operation, stores(client, clock)), UnavailableError)


@pytest.mark.parametrize("operation", READS)
async def test_a_query_that_the_server_gives_up(clock: FakeClock, operation: str) -> None:
    """An error in the answer of a query can be tried again, if the bucket is there."""
    failed = answer(200, rows(error="query interrupted"))
    there = answer(200, b'{"buckets":[{"id":"1"}]}')
    async with answering(failed, there) as url, opened(url, TOKEN, bucket="b") as client:
        assert isinstance(await error_of(operation, stores(client, clock)), UnavailableError)


@pytest.mark.parametrize("operation", CALLS)
async def test_a_closed_client(influx: Influx, clock: FakeClock, operation: str) -> None:
    """A call before the opening or after the closing says so."""
    await influx.close()
    error = await error_of(operation, stores(influx, clock))
    assert "open it first" in error.detail
    await influx.open()


@pytest.mark.parametrize("operation", CALLS)
async def test_cancelling_passes_through(influx: Influx, clock: FakeClock, operation: str) -> None:
    """A cancelled call ends at once, and its connection is not used for another's answer."""
    async with (
        Proxy(influx._http._url) as proxy,
        opened(
            proxy.url, influx._http._token.reveal(), org=influx.org, bucket=influx.bucket
        ) as client,
    ):
        recording = stores(client, clock)
        proxy.silent = True
        task = asyncio.ensure_future(CALLS[operation](recording))
        while not proxy.connections:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        proxy.silent = False
        assert await recording.results.latest(TENANT, []) == {}
        await CALLS[operation](recording)


async def test_the_largest_batch(influx: Influx, clock: FakeClock) -> None:
    """5,000 results with the longest messages there are make a request that the server takes."""
    recording = stores(influx, clock)
    error = CheckError(kind=ErrorKind.CONTENT, message="\U0001f525" * LONGEST_MESSAGE)
    batch = [
        a_result(TENANT, MONITOR, scheduled_at=clock.now() - timedelta(seconds=number), error=error)
        for number in range(MAX_BATCH)
    ]
    assert await recording.results.record(batch) == (STORED,) * MAX_BATCH
    page = await recording.results.history(TENANT, [MONITOR], period=recent(recording), limit=1_000)
    assert page.items == tuple(batch[:1_000])
