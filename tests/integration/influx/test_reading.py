"""What is read is checked, and is complete however much there is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from attrs import evolve
from tests.fixtures.influx import opened, stores
from tests.integration.influx._calls import (
    HOUR,
    MONITOR,
    READS,
    TENANT,
    error_of,
    now_due,
    recent,
)
from tests.integration.influx._servers import rewriting

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind
from urlmon.domain.fates import STORED
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.statistics import DailyUsage
from urlmon.errors import CorruptDataError
from urlmon.testing.builders import a_result
from urlmon.testing.clock import FakeClock
from urlmon_adapters.influx._lines import encode

if TYPE_CHECKING:
    from urlmon.testing.contracts.stores import ResultStores
    from urlmon_adapters.influx import Influx
    from urlmon_adapters.servers import InfluxEndpoint

BOOM = CheckError(kind=ErrorKind.STATUS, message="500")
MINUTE = timedelta(minutes=1)
BY_MONITOR = tuple(name for name in READS if name != "CheckStatistics.usage")


@pytest.fixture
def recording(influx: Influx) -> ResultStores:
    """The real adapters at noon of a day."""
    return stores(influx, FakeClock())


async def record(recording: ResultStores, *results: CheckResult) -> None:
    """Record results, all of which must be stored."""
    assert await recording.results.record(results) == (STORED,) * len(results)


async def history(
    recording: ResultStores, *, success: bool | None = None, limit: int = 1_000
) -> list[CheckResult]:
    """Return a whole history, page by page."""
    found: list[CheckResult] = []
    cursor = None
    while True:
        page = await recording.results.history(
            TENANT, [MONITOR], period=recent(recording), success=success, cursor=cursor, limit=limit
        )
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("operation", READS)
async def test_rows_of_another_tenant(
    influx: Influx, influx_server: InfluxEndpoint, recording: ResultStores, operation: str
) -> None:
    """A row of somebody else's is an error, however it came to be in the answer."""
    await record(recording, evolve(now_due(recording), error=BOOM))
    ours, theirs = str(TENANT).encode(), str(TenantId.new()).encode()
    server = influx_server
    async with (
        rewriting(urlsplit(server.url), lambda said: said.replace(ours, theirs)) as url,
        opened(url, server.token, org=server.org, bucket=influx.bucket) as client,
    ):
        error = await error_of(operation, stores(client, recording.clock))
    assert isinstance(error, CorruptDataError)
    assert theirs.decode() not in str(error)


@pytest.mark.parametrize("operation", BY_MONITOR)
async def test_rows_of_another_monitor(
    influx: Influx, influx_server: InfluxEndpoint, recording: ResultStores, operation: str
) -> None:
    """So is one of a monitor that was not asked for."""
    await record(recording, evolve(now_due(recording), error=BOOM))
    asked, other = str(MONITOR).encode(), str(MonitorId.new()).encode()
    server = influx_server
    async with (
        rewriting(urlsplit(server.url), lambda said: said.replace(asked, other)) as url,
        opened(url, server.token, org=server.org, bucket=influx.bucket) as client,
    ):
        assert isinstance(
            await error_of(operation, stores(client, recording.clock)), CorruptDataError
        )


GOOD = b"".join(encode([evolve(now_due(stores(None, FakeClock())), error=BOOM)]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"success=false", b"success=perhaps"),
        (b'error_kind="status"', b'error_kind="sleepiness"'),
        (b'error_kind="status",', b""),
        (b'error_message="500"', b'other="500"'),
        (b"status_code=200i", b"status_code=7i"),
        (b"status_code=200i,", b""),
        (b"size_bytes=-1i", b"size_bytes=-2i"),
        (b"tls_expires_at_us=-9223372036854775808i", b"tls_expires_at_us=9223372036854775807i"),
        (b"checked_at_us=1", b"checked_at_us=9"),
        (b"location=default", b"location=DEFAULT"),
        (b"success=false", b"success=true"),
    ],
)
async def test_points_that_urlmon_does_not_write(
    influx: Influx, recording: ResultStores, old: bytes, new: bytes
) -> None:
    """What somebody else wrote is an error, not a result that is nearly right."""
    assert old in GOOD
    await influx.write("test", [GOOD.replace(old, new)])
    for operation in ("CheckResultStore.latest", "CheckResultStore.history"):
        assert isinstance(await error_of(operation, recording), CorruptDataError)


async def test_more_locations_than_a_page(recording: ResultStores) -> None:
    """An instant with more results than are read at once is read in full, once each."""
    instants = [recording.clock.now() - number * MINUTE for number in range(3)]
    results = [
        a_result(TENANT, MONITOR, scheduled_at=at, location=f"{number:04}")
        for at in instants
        for number in range(300 if at == instants[1] else 2)
    ]
    await record(recording, *results)
    for limit in (1, 2, 3):
        page = await recording.results.history(
            TENANT, [MONITOR], period=recent(recording), limit=limit
        )
        assert page.items == tuple(results[:limit])
    for limit in (100, 1_000):
        assert await history(recording, limit=limit) == results


async def test_overruled_successes_in_pages(recording: ResultStores) -> None:
    """A success that a failure overruled is in no page, with and without a filter."""
    at = recording.clock.now()
    good = [
        a_result(TENANT, MONITOR, scheduled_at=at - number * MINUTE, location=location)
        for number in range(60)
        for location in ("eu", "us")
    ]
    # All but every fortieth fail as well.
    bad = [evolve(each, error=BOOM) for number, each in enumerate(good) if number % 40]
    await record(recording, *good)
    await record(recording, *bad)
    failed = {each.identity for each in bad}
    stand = [evolve(each, error=BOOM) if each.identity in failed else each for each in good]
    for limit in (7, 1_000):
        assert await history(recording, limit=limit) == stand
        for success in (True, False):
            assert await history(recording, success=success, limit=limit) == [
                each for each in stand if each.success == success
            ]


async def test_usage_of_overruled_successes(recording: ResultStores) -> None:
    """A result that was recorded with both outcomes counts once, on each of its days."""
    today = recording.clock.now()
    monitors = [MonitorId.new() for _ in range(3)]
    results = [
        a_result(TENANT, monitor, scheduled_at=today - number * HOUR)
        for monitor in monitors
        for number in range(40)
    ]
    await record(recording, *results)
    await record(recording, *(evolve(each, error=BOOM) for each in results[5:50]))
    usage = await recording.statistics.usage(
        TENANT, first=today.date() - timedelta(days=1), last=today.date()
    )
    of_today = sum(each.scheduled_at.date() == today.date() for each in results)
    assert usage == (
        DailyUsage(
            day=today.date() - timedelta(days=1),
            checks=sum(
                each.scheduled_at.date() == today.date() - timedelta(days=1) for each in results
            ),
        ),
        DailyUsage(day=today.date(), checks=of_today),
    )


async def test_more_rows_than_one_part_of_an_answer(recording: ResultStores) -> None:
    """Statistics over thousands of results of several monitors miss none."""
    now = recording.clock.now()
    monitors = [MonitorId.new() for _ in range(3)]
    for number, monitor in enumerate(monitors):
        await record(
            recording,
            *(
                a_result(
                    TENANT,
                    monitor,
                    scheduled_at=now - second * timedelta(seconds=1),
                    response_time_us=second,
                )
                for second in range(4_000 + number)
            ),
        )
    period = Period(since=now - timedelta(days=1), until=now + MINUTE)
    summaries = await recording.statistics.summary(
        TENANT, dict.fromkeys(monitors, HOUR), period=period
    )
    for number, monitor in enumerate(monitors):
        found = summaries[monitor].statistics.response_times
        assert found is not None
        assert (found.count, found.min_us, found.max_us) == (4_000 + number, 0, 3_999 + number)
        assert found.total_us == sum(range(4_000 + number))


async def test_a_clock_that_was_set_back(influx: Influx) -> None:
    """`latest` finds also what is due later than the present."""
    clock = FakeClock()
    recording = stores(influx, clock)
    result = now_due(recording)
    await record(recording, result)
    clock.advance(-timedelta(days=30))
    assert await recording.results.latest(TENANT, [MONITOR]) == {MONITOR: result}
