"""What becomes of each result when the server does not take all of a batch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from tests.fixtures.influx import make_bucket, opened, stores
from tests.fixtures.waiting import longest_turn
from tests.integration.influx._calls import MONITOR, TENANT, now_due, recent
from tests.integration.influx._strict import strict

from urlmon.domain.check_results import MAX_BATCH
from urlmon.domain.fates import STORED, Fate, Refusal
from urlmon.domain.ids import MonitorId
from urlmon.errors import StoreError, UnavailableError
from urlmon.testing.builders import a_result
from urlmon.testing.clock import FakeClock
from urlmon_adapters.influx._lines import encode, microseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from urlmon.domain.check_results import CheckResult
    from urlmon.testing.contracts.stores import ResultStores
    from urlmon_adapters.influx import Influx

TOKEN = "canary-7be0f1c2d3a4958d"
SECOND = timedelta(seconds=1)


def a_batch(count: int) -> list[CheckResult]:
    """Make results, one a second."""
    now = FakeClock().now()
    return [a_result(TENANT, MONITOR, scheduled_at=now - n * SECOND) for n in range(count)]


def line_of(result: CheckResult) -> bytes:
    """Return a result's line."""
    (line,) = b"".join(encode([result])).splitlines()
    return line


async def recorded(url: str, batch: Sequence[CheckResult]) -> tuple[Fate, ...]:
    """Record a batch on a server."""
    async with opened(url, TOKEN, bucket="b") as client:
        return await stores(client, FakeClock()).results.record(batch)


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("places", [[0], [99], [50], [3, 4], [0, 33, 99], list(range(40, 60))])
@pytest.mark.parametrize("partly", [True, False])
async def test_a_poison_line_is_put_aside(status: int, places: list[int], *, partly: bool) -> None:
    """Each bad line is found by halving, and rejected in the server's words; the rest is stored."""
    batch = a_batch(100)
    bad = {line_of(batch[place]) for place in places}
    async with strict(
        lambda lines: status if bad.intersection(lines) else 204,
        partly=(lambda line: line not in bad) if partly else None,
    ) as server:
        fates = await recorded(server.url, batch)
    assert server.stored == set(map(line_of, batch)) - bad
    for place, (result, fate) in enumerate(zip(batch, fates, strict=True)):
        if place in places:
            assert fate.refusal is Refusal.REJECTED
            assert line_of(result).decode()[:300] in fate.reason
            assert TOKEN not in fate.reason
        else:
            assert fate == STORED
    # Halving a hundred takes seven steps, of two requests each at most.
    assert len(server.requests) <= 1 + 14 * len(places)


async def test_what_is_too_long_is_halved() -> None:
    """What a proxy does not let through in one piece goes in several, each line once."""
    batch = a_batch(100)
    async with strict(lambda lines: 413 if len(lines) > 30 else 204) as server:
        assert await recorded(server.url, batch) == (STORED,) * 100
    assert [len(lines) for lines in server.requests] == [100, 50, 25, 25, 50, 25, 25]
    assert server.stored == set(map(line_of, batch))


async def test_a_line_that_is_too_long_alone() -> None:
    """A server that takes not even one line has a wrong limit; that is no fault of a result."""
    async with strict(lambda _: 413) as server:
        with pytest.raises(StoreError, match="413") as caught:
            await recorded(server.url, a_batch(8))
    assert not isinstance(caught.value, UnavailableError)
    assert [len(lines) for lines in server.requests] == [8, 4, 2, 1]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("bad", [21, 5_000])
async def test_many_bad_lines_are_no_poison(status: int, bad: int) -> None:
    """Where more than 20 lines are refused no result is put aside, and it does not go on."""
    batch = a_batch(5_000)
    refused = set(map(line_of, batch[-bad:]))
    async with strict(lambda lines: status if refused.intersection(lines) else 204) as server:
        with pytest.raises(StoreError, match=str(status)) as caught:
            await recorded(server.url, batch)
    assert not isinstance(caught.value, UnavailableError)
    assert len(server.requests) < 600


@pytest.mark.parametrize("count", [1, 7])
async def test_a_server_that_refuses_everything(count: int) -> None:
    """Where nothing is taken, not even nothing, the server is at fault and no result."""
    async with strict(lambda _: 400) as server:
        with pytest.raises(StoreError, match="400"):
            await recorded(server.url, a_batch(count))
    assert server.requests[-1] == []


@pytest.mark.parametrize("count", [1, 7])
async def test_nothing_but_poison(count: int) -> None:
    """Where every line of a batch is bad, and the server is well otherwise, all are rejected."""
    async with strict(lambda lines: 400 if lines else 204) as server:
        fates = await recorded(server.url, a_batch(count))
    assert {fate.refusal for fate in fates} == {Refusal.REJECTED}


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_overload_in_the_middle(status: int) -> None:
    """A server that gives up while poison is looked for may have stored a part."""
    batch = a_batch(100)
    bad = line_of(batch[70])
    seen: list[int] = []

    def judge(lines: Sequence[bytes]) -> int:
        seen.append(len(lines))
        return status if len(seen) > 3 else 400 if bad in lines else 204

    async with strict(judge) as server:
        with pytest.raises(UnavailableError) as caught:
            await recorded(server.url, batch)
    assert caught.value.maybe_applied
    assert server.stored


@pytest.mark.parametrize(
    "status", [302, 401, 403, 404, 405, 408, 418, 425, 429, 500, 502, 503, 504]
)
async def test_nothing_is_sent_again(status: int) -> None:
    """What the whole request is refused for is told at once; the caller decides what to do."""
    async with strict(lambda _: status) as server:
        with pytest.raises(StoreError, match=str(status)):
            await recorded(server.url, a_batch(100))
    assert len(server.requests) == 1


async def test_points_beyond_the_servers_retention(missing_bucket: Influx) -> None:
    """What the real server keeps for a shorter time than urlmon is rejected; the rest is there."""
    await make_bucket(missing_bucket, retention=timedelta(hours=1))
    recording = stores(missing_bucket, FakeClock(datetime.now(UTC)))
    good = now_due(recording)
    batch = [
        evolve(good, scheduled_at=good.scheduled_at - minutes * timedelta(minutes=1))
        # Of the hour that the shard of a good one spans, a bad one may come in with it.
        for minutes in (0, 1, 2, 3, 4, 180, 190, 200, 210, 220)
    ]
    fates = await recording.results.record(batch)
    kept = [each for each, fate in zip(batch, fates, strict=True) if fate.stored]
    assert kept == batch[:5]
    assert [fate.reason[:12] for fate in fates[5:]] == ["status 422: "] * 5
    page = await recording.results.history(TENANT, [MONITOR], period=recent(recording))
    assert page.items == tuple(kept)


async def test_fields_of_other_types(influx: Influx) -> None:
    """Where the bucket holds something else by our names, of that day nothing can be stored."""
    clock = FakeClock()
    at = microseconds(clock.now())
    await influx.write("test", [f'check_results checked_at_us="a text" {at}'.encode()])
    recording = stores(influx, clock)
    today = now_due(recording)
    long_ago = evolve(today, scheduled_at=today.scheduled_at - timedelta(days=60))
    fates = await recording.results.record([today, long_ago])
    assert [fate.stored for fate in fates] == [False, True]
    assert "type" in fates[0].reason
    many = [evolve(today, scheduled_at=today.scheduled_at - n * SECOND) for n in range(50)]
    with pytest.raises(StoreError, match="other types"):
        await recording.results.record(many)


async def test_a_line_that_the_server_cannot_read(influx: Influx) -> None:
    """A result that was tampered with behind the domain's back is found by the real server."""
    recording = stores(influx, FakeClock())
    batch = a_batch(500)
    for place, location in ((7, "a b c"), (300, "a,b")):
        object.__setattr__(batch[place], "location", location)
    fates = await recording.results.record(batch)
    assert [place for place, fate in enumerate(fates) if not fate.stored] == [7, 300]
    assert all(fates[place].reason.startswith("status 400: ") for place in (7, 300))
    page = await recording.results.history(TENANT, [MONITOR], period=recent(recording), limit=1_000)
    assert page.items == tuple(each for each, fate in zip(batch, fates, strict=True) if fate.stored)


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=20)])
async def test_a_batch_lets_others_in(influx_recording: ResultStores, age: timedelta) -> None:
    """Whoever else wants the event loop gets it soon, in a full batch, also of late results."""
    now = influx_recording.clock.now()
    batch = [
        a_result(TENANT, MonitorId.new(), scheduled_at=now - age - place * SECOND)
        for place in range(MAX_BATCH)
    ]
    await influx_recording.results.record(batch[:1])  # to connect
    assert await longest_turn(influx_recording.results.record(batch)) < 0.008
