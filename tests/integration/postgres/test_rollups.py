"""The sums of check results: always what the results amount to, whoever stores what at one time."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from attrs import evolve
from tests.fixtures.cancelling import cancelled_at
from tests.fixtures.proxy import Proxy
from tests.fixtures.recording import RETENTION, in_postgres
from tests.fixtures.waiting import until

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind, Phases
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.sketches import Sketch
from urlmon.errors import UnavailableError
from urlmon.testing.builders import a_result
from urlmon_adapters.postgres import Database, RollupKeeper, build_pool
from urlmon_adapters.postgres._ingest import append
from urlmon_adapters.postgres._rollups import count
from urlmon_adapters.postgres._sketch_bytes import ranges, unpack

if TYPE_CHECKING:
    from datetime import datetime

    from urlmon.testing.clock import FakeClock
    from urlmon.testing.contracts.stores import ResultStores
    from urlmon_adapters.postgres import Pool

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
TENANTS: Final = [TenantId.new(), TenantId.new()]
MONITORS: Final = [MonitorId.new() for _ in range(3)]
BOOM: Final = CheckError(kind=ErrorKind.TIMEOUT, message="10 s")

_FIGURES: Final = """
    tenant_id, monitor_id, location, start_at, checks, failures, times, total_us, min_us, max_us,
    dns_times, dns_total_us, connect_times, connect_total_us, tls_times, tls_total_us, ttfb_times,
    ttfb_total_us, transfer_times, transfer_total_us,
    add_sketches(1::smallint, ARRAY[sketch])
"""
_WRONG_HOURS: Final = f"""
SELECT count(*) FROM (
    (SELECT {_FIGURES} FROM check_rollups WHERE hours = 1
    EXCEPT SELECT {_FIGURES} FROM hours_of_results('-infinity', 'infinity'))
    UNION ALL
    (SELECT {_FIGURES} FROM hours_of_results('-infinity', 'infinity')
    EXCEPT SELECT {_FIGURES} FROM check_rollups WHERE hours = 1)
) AS wrong
"""
# Whatever is not stale holds what its hours do, and nothing that there are hours of is missing.
_WRONG_SPANS: Final = """
SELECT count(*) FROM check_rollup_spans AS s
JOIN (
    SELECT span, tenant_id, monitor_id, place AS location,
        date_bin(make_interval(hours => span), start_at, '1970-01-05 00:00Z') AS start_at,
        sum(checks) AS checks, sum(failures) AS failures, sum(times) AS times,
        sum(total_us) AS total_us, min(min_us) AS min_us, max(max_us) AS max_us,
        sum(ttfb_total_us) AS ttfb_total_us, add_sketches(1::smallint, array_agg(sketch)) AS sketch
    FROM check_rollups CROSS JOIN unnest(ARRAY[6, 24, 168, 672]) AS span
    CROSS JOIN LATERAL unnest(
        CASE WHEN span IN (24, 168) THEN ARRAY[location, ''] ELSE ARRAY[''] END
    ) AS place WHERE hours = 1
    GROUP BY 1, 2, 3, 4, 5
) AS h ON h.span = s.hours AND h.start_at >= s.made_from AND h.start_at < s.opened_until
FULL JOIN (SELECT * FROM check_rollups WHERE hours > 1) AS r
    ON r.hours = h.span AND r.tenant_id = h.tenant_id AND r.monitor_id = h.monitor_id
        AND r.location = h.location AND r.start_at = h.start_at
WHERE r.stale IS NOT TRUE AND ((
    h.checks, h.failures, h.times, h.total_us, h.min_us, h.max_us, h.ttfb_total_us, h.sketch
) IS DISTINCT FROM (
    r.checks, r.failures, r.times, r.total_us, r.min_us, r.max_us, r.ttfb_total_us, r.sketch
) OR r.made IS DISTINCT FROM coalesce((
    SELECT sum(most) FROM (
        SELECT max(checks) AS most FROM check_rollups AS m
        WHERE m.hours = 1 AND m.tenant_id = r.tenant_id AND m.monitor_id = r.monitor_id
            AND m.start_at >= r.start_at
            AND m.start_at < r.start_at + make_interval(hours => r.hours) AND r.location = ''
        GROUP BY m.start_at
    ) AS hourly
), 0))
"""


def run(url: str, statement: str) -> list[Any]:
    """Run a statement as the owner."""
    with psycopg.connect(url, autocommit=True) as admin:
        cursor = admin.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def wrong(url: str) -> tuple[int, int]:
    """Return how many hours, and how many days and weeks, are not what they must be."""
    ((hours,),), ((spans,),) = run(url, _WRONG_HOURS), run(url, _WRONG_SPANS)
    return hours, spans


def stale(url: str) -> int:
    """Return how many days and weeks wait to be made."""
    ((number,),) = run(url, "SELECT count(*) FROM check_rollups WHERE stale")
    return number


def reopen(url: str) -> None:
    """Take the last three spans of each length for not over yet."""
    run(
        url,
        "UPDATE check_rollup_spans SET made_until = made_until - 3 * make_interval(hours => hours),"
        " opened_until = opened_until - 3 * make_interval(hours => hours),"
        " closed_until = closed_until - 3 * make_interval(hours => hours) WHERE hours > 1",
    )


def some_results(chance: random.Random, number: int, *, now: datetime) -> list[CheckResult]:
    """Return results of every sort, many of which share identities, over some weeks."""
    return [
        a_result(
            chance.choice(TENANTS),
            chance.choice(MONITORS),
            location=chance.choice(["ams", "nyc"]),
            scheduled_at=now - chance.choice([MINUTE, HOUR, 24 * HOUR]) * chance.randrange(30),
            response_time_us=chance.choice([None, 0, 1, chance.randrange(10**6), 3_600_000_000]),
            phases=Phases(dns_us=chance.choice([None, 0, 7]), ttfb_us=chance.choice([None, 9])),
            error=chance.choice([None, None, None, BOOM]),
        )
        for _ in range(number)
    ]


async def test_hours_are_what_their_results_are(
    postgres_recording: ResultStores, postgres_url: str
) -> None:
    """Also of results that came twice, together or apart, and of failures that outrank."""
    chance, now = random.Random(1), postgres_recording.clock.now()  # noqa: S311 - no secret
    for number in (300, 1, 40, 700, 40):
        await postgres_recording.results.record(some_results(chance, number, now=now))
        assert wrong(postgres_url) == (0, 0)
    ((checks,),) = run(postgres_url, "SELECT sum(checks) FROM check_rollups WHERE hours = 1")
    assert checks > 300


async def test_days_and_weeks_are_what_their_hours_are(
    postgres_recording: ResultStores, postgres_service_pool: Pool, postgres_url: str
) -> None:
    """The upkeep makes them; late results, and failures that outrank, have them made again."""
    chance, now = random.Random(2), postgres_recording.clock.now()  # noqa: S311 - no secret
    keeper = RollupKeeper(Database(postgres_service_pool))
    for number in (300, 100):
        await postgres_recording.results.record(some_results(chance, number, now=now))
        assert stale(postgres_url)
        assert wrong(postgres_url) == (0, 0)
        await keeper.upkeep(RETENTION)
        assert not stale(postgres_url)
        assert wrong(postgres_url) == (0, 0)
    ((days, weeks),) = run(
        postgres_url,
        "SELECT count(*) FILTER (WHERE hours = 24), count(*) FILTER (WHERE hours = 168)"
        " FROM check_rollups",
    )
    assert days > weeks > 20
    lengths = run(postgres_url, "SELECT DISTINCT hours FROM check_rollups ORDER BY hours")
    assert lengths == [(1,), (6,), (24,), (168,), (672,)]


async def test_a_day_that_ends_is_opened(
    postgres_recording: ResultStores, postgres_service_pool: Pool, postgres_url: str
) -> None:
    """What a running day holds gets its row when the day is over, and not before."""
    chance, now = random.Random(3), postgres_recording.clock.now()  # noqa: S311 - no secret
    reopen(postgres_url)
    await postgres_recording.results.record(some_results(chance, 200, now=now))
    before = stale(postgres_url)
    await RollupKeeper(Database(postgres_service_pool)).upkeep(RETENTION)
    ((made,),) = run(postgres_url, "SELECT count(*) FROM check_rollups WHERE hours > 1")
    assert made > before
    assert wrong(postgres_url) == (0, 0)
    ((ahead,),) = run(
        postgres_url,
        "SELECT count(*) FROM check_rollups WHERE start_at + make_interval(hours => hours) > now()"
        " AND hours > 1",
    )
    assert ahead == 0


async def test_a_span_counts_when_all_of_it_is_made(
    postgres_recording: ResultStores, postgres_service_pool: Pool, postgres_url: str
) -> None:
    """Until then readers take shorter ones: not the hours of whom it is not made for yet."""
    chance, now = random.Random(6), postgres_recording.clock.now()  # noqa: S311 - no secret
    reopen(postgres_url)
    await postgres_recording.results.record(some_results(chance, 200, now=now))
    spans = "SELECT hours, made_until FROM check_rollup_spans WHERE hours > 1"
    before = dict(run(postgres_url, spans))
    keeper = RollupKeeper(Database(postgres_service_pool))
    while await keeper._step(RETENTION):
        waiting = run(
            postgres_url,
            "SELECT hours, start_at FROM check_rollups JOIN check_rollup_spans USING (hours)"
            " WHERE stale AND start_at < made_until",
        )
        assert [at for hours, at in waiting if at >= before[hours]] == []
    assert all(made_until > before[hours] for hours, made_until in run(postgres_url, spans))


async def test_a_day_waits_for_who_stores_results_in_it(
    postgres_service_pool: Pool, postgres_url: str, still_clock: FakeClock
) -> None:
    """Whoever does not know yet that a day is over has time to commit; the day counts that, too."""
    reopen(postgres_url)
    result = a_result(TENANTS[0], MONITORS[0], scheduled_at=still_clock.now() - 36 * HOUR)
    database = Database(postgres_service_pool)
    keeper = RollupKeeper(database)
    closed = "SELECT hours, closed_until FROM check_rollup_spans ORDER BY hours"
    before = run(postgres_url, closed)
    async with database.everyone("test") as connection:
        await append(connection, [result])
        await count(connection, [result], [])
        upkeep = asyncio.ensure_future(keeper.upkeep(RETENTION))
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        await until(lambda: upkeep.done() or run(postgres_url, waiting))
        assert run(postgres_url, closed) == before
    with suppress(UnavailableError):  # a waiting upkeep gives up after a second, for now
        await upkeep
    await keeper.upkeep(RETENTION)
    assert run(postgres_url, closed) != before
    assert wrong(postgres_url) == (0, 0)
    ((checks,),) = run(postgres_url, "SELECT sum(checks) FROM check_rollups WHERE hours = 24")
    assert checks == 2  # by location, and of all


async def test_everybody_at_once(postgres_service_url: str, postgres_url: str) -> None:
    """Many store in the same hours while upkeep, removal and repair go on: nothing is off."""
    from urlmon.testing.clock import FakeClock

    chance = random.Random(4)  # noqa: S311 - no secret
    async with build_pool(postgres_service_url, largest=8) as pool:
        ((now,),) = run(postgres_url, "SELECT now()")
        stores, keeper = in_postgres(pool, FakeClock(now)), RollupKeeper(Database(pool))
        over = False

        async def store() -> None:
            for _ in range(12):
                await stores.results.record(some_results(chance, 60, now=now))

        async def keep() -> None:
            while not over:
                await keeper.upkeep(RETENTION)

        async def repair() -> None:
            while not over:
                await keeper.rebuild(Period(since=now - 3 * HOUR, until=now))

        async def forget() -> None:
            while not over:
                await stores.results.forget_monitor(TENANTS[0], MONITORS[0])

        others = [asyncio.create_task(each()) for each in (keep, repair, forget)]
        await asyncio.gather(*(store() for _ in range(4)))
        over = True
        await asyncio.gather(*others)
        assert wrong(postgres_url) == (0, 0)
        await keeper.upkeep(RETENTION)
    assert wrong(postgres_url) == (0, 0)
    assert not stale(postgres_url)


@pytest.mark.parametrize("lost", [b"check_rollups", b"COMMIT"])
async def test_a_repeat_counts_once(
    postgres_service_url: str, postgres_url: str, still_clock: FakeClock, lost: bytes
) -> None:
    """Whatever reply is lost on the way, each result is counted once."""
    batch = some_results(random.Random(5), 200, now=still_clock.now())  # noqa: S311 - no secret
    async with Proxy(postgres_service_url) as proxy, build_pool(proxy.url, largest=1) as pool:
        stores = in_postgres(pool, still_clock)
        proxy.lose_replies(1, to=lost)
        await stores.results.record(batch)
        assert proxy.still_to_lose == 0
        proxy.lose_replies(2, to=lost)
        with pytest.raises(UnavailableError):
            await stores.results.record([evolve(each, error=BOOM) for each in batch])
        assert wrong(postgres_url) == (0, 0)
        await stores.results.record([evolve(each, error=BOOM) for each in batch])
    assert wrong(postgres_url) == (0, 0)


async def test_cancelling_anywhere_counts_all_or_nothing(
    postgres_service_url: str, postgres_url: str, still_clock: FakeClock
) -> None:
    """At whichever wait a batch is cancelled, sums and results go together."""
    chance, number, had_it = random.Random(6), 1, True  # noqa: S311 - no secret
    async with build_pool(postgres_service_url, largest=2) as pool:
        stores = in_postgres(pool, still_clock)
        while had_it:
            batch = some_results(chance, 50, now=still_clock.now())

            async def one(number: int, batch: list[CheckResult]) -> bool:
                return await cancelled_at(number, stores.results.record(batch))

            task = asyncio.create_task(one(number, batch))
            await asyncio.wait({task})
            had_it = task.cancelled() or task.result()
            assert wrong(postgres_url) == (0, 0)
            number += 1
    assert number > 20


@pytest.mark.parametrize("repairing", [False, True])
async def test_what_marks_sums_waits_while_days_are_closed(
    postgres_recording: ResultStores,
    postgres_service_pool: Pool,
    postgres_url: str,
    *,
    repairing: bool,
) -> None:
    """Removal and repair, as recorders do, let the upkeep close a day first, and mark it then."""
    results, now = postgres_recording.results, postgres_recording.clock.now()
    await results.record([a_result(TENANTS[0], MONITORS[0], scheduled_at=now)])
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('urlmon.rollups', 0))")
        keeper = RollupKeeper(Database(postgres_service_pool))
        call = asyncio.ensure_future(
            keeper.rebuild(Period(since=now, until=now + MINUTE))
            if repairing
            else results.forget_monitor(TENANTS[0], MONITORS[0])
        )
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        await until(lambda: call.done() or run(postgres_url, waiting))
        assert not call.done()
        other.rollback()
        await call


async def test_forgetting_takes_the_sums_along(
    postgres_recording: ResultStores, postgres_service_pool: Pool, postgres_url: str
) -> None:
    """Of a forgotten monitor no sum remains, and of the others all."""
    chance, now = random.Random(7), postgres_recording.clock.now()  # noqa: S311 - no secret
    keeper = RollupKeeper(Database(postgres_service_pool))
    await postgres_recording.results.record(some_results(chance, 500, now=now))
    await keeper.upkeep(RETENTION)
    await postgres_recording.results.forget_monitor(TENANTS[0], MONITORS[0])
    assert wrong(postgres_url) == (0, 0)
    await keeper.upkeep(RETENTION)
    assert wrong(postgres_url) == (0, 0)
    rows = run(postgres_url, "SELECT DISTINCT tenant_id, monitor_id FROM check_rollups")
    assert len(rows) == len(TENANTS) * len(MONITORS) - 1
    assert (TENANTS[0], MONITORS[0]) not in rows


async def test_damage_is_repaired(
    postgres_recording: ResultStores, postgres_service_pool: Pool, postgres_url: str
) -> None:
    """Hours that were changed, lost or made up by hand are made anew from the results."""
    chance, now = random.Random(8), postgres_recording.clock.now()  # noqa: S311 - no secret
    keeper = RollupKeeper(Database(postgres_service_pool))
    await postgres_recording.results.record(some_results(chance, 500, now=now))
    await keeper.upkeep(RETENTION)
    run(postgres_url, "UPDATE check_rollups SET checks = checks + 1 WHERE checks > 1")
    run(postgres_url, "DELETE FROM check_rollups WHERE failures > 0")
    run(
        postgres_url,
        "UPDATE check_rollups SET location = 'moon' WHERE location = 'ams' AND checks = 1",
    )
    assert min(wrong(postgres_url)) > 0
    await keeper.rebuild(Period(since=now - timedelta(days=31), until=now + HOUR))
    await keeper.upkeep(RETENTION)
    assert wrong(postgres_url) == (0, 0)


@pytest.mark.parametrize("day", [1, 28])
async def test_what_no_partition_has_any_more_goes_too(
    postgres_recording: ResultStores, postgres_service_pool: Pool, postgres_url: str, day: int
) -> None:
    """Sums go with the results of their month, when those are older than what is kept.

    Those of spans that begin before a month stay with it.
    """
    now = postgres_recording.clock.now()
    old = (now - timedelta(days=62)).replace(day=day)
    run(postgres_url, f"SELECT create_monthly_partition('{old.date()}')")
    for at in (old, now):
        result = a_result(TENANTS[0], MONITORS[0], scheduled_at=at)
        await postgres_recording.results.record([result])
    keeper = RollupKeeper(Database(postgres_service_pool))
    await keeper.upkeep(timedelta(days=30))
    assert wrong(postgres_url) == (0, 0)
    run(postgres_url, f"DROP TABLE check_results_{old:%Y_%m}")
    await keeper.upkeep(timedelta(days=90))
    assert wrong(postgres_url)[0] == 1
    await keeper.upkeep(timedelta(days=30))
    assert wrong(postgres_url) == (0, 0)
    ((left,),) = run(postgres_url, "SELECT count(*) FROM check_rollups")
    assert left == 1


async def test_a_long_hour_stays_small(postgres_recording: ResultStores, postgres_url: str) -> None:
    """The sketch of an hour takes two bytes a result, however many batches there were."""
    now = postgres_recording.clock.now().replace(minute=0, second=0, microsecond=0) - HOUR
    chance = random.Random(9)  # noqa: S311 - no secret
    for first in range(0, 3_600, 200):
        batch = [
            a_result(
                TENANTS[0],
                MONITORS[0],
                scheduled_at=now + timedelta(seconds=first + second),
                response_time_us=chance.randrange(10**5, 10**6),
            )
            for second in range(200)
        ]
        await postgres_recording.results.record(batch)
    ((checks, size),) = run(
        postgres_url, "SELECT checks, octet_length(sketch) FROM check_rollups WHERE hours = 1"
    )
    assert checks == 3_600
    assert size == 2 * 3_600
    assert wrong(postgres_url) == (0, 0)


async def answers(stores: ResultStores) -> list[object]:
    """Ask everything that sums take part in."""
    statistics, tenant, now = stores.statistics, TENANTS[0], stores.clock.now()
    period = Period(since=now - timedelta(days=31, minutes=7), until=now + MINUTE)
    today = now.date()
    first = today - timedelta(days=30)
    return [
        await statistics.summary(tenant, dict.fromkeys(MONITORS, MINUTE), period=period),
        await statistics.series(tenant, MONITORS, period=period, width=7 * HOUR),
        await statistics.daily(tenant, MONITORS, first=first, last=today),
        await statistics.by_location(tenant, MONITORS, period=period),
        await statistics.usage(tenant, first=first, last=today),
    ]


async def test_late_results_are_in_every_answer(
    postgres_recording: ResultStores, postgres_service_pool: Pool, postgres_url: str
) -> None:
    """What is stale counts by its hours, not by what it held; made again, it says the same."""
    chance, now = random.Random(11), postgres_recording.clock.now()  # noqa: S311 - no secret
    keeper = RollupKeeper(Database(postgres_service_pool))
    await postgres_recording.results.record(some_results(chance, 300, now=now))
    await keeper.upkeep(RETENTION)
    before = await answers(postgres_recording)
    await postgres_recording.results.record(some_results(chance, 200, now=now))
    late = await answers(postgres_recording)
    assert late != before
    assert stale(postgres_url)
    await keeper.upkeep(RETENTION)
    assert await answers(postgres_recording) == late


def before_the_sums(url: str) -> None:
    """Take a database back to what it was before there were sums, with whatever results it has."""
    run(url, "DELETE FROM check_rollups")
    run(
        url,
        "UPDATE check_rollup_spans SET made_from ="
        " date_bin(make_interval(hours => hours), now(), '1970-01-05 00:00Z')"
        " + CASE hours WHEN 1 THEN interval '2 hours' ELSE '0' END",
    )


async def test_results_from_before_the_sums(
    postgres_recording: ResultStores, postgres_service_pool: Pool, postgres_url: str
) -> None:
    """Answers are right before, while and after the upkeep makes the hours of older results."""
    chance, now = random.Random(10), postgres_recording.clock.now()  # noqa: S311 - no secret
    await postgres_recording.results.record(some_results(chance, 500, now=now))
    expected = await answers(postgres_recording)
    before_the_sums(postgres_url)
    assert await answers(postgres_recording) == expected
    keeper, steps = RollupKeeper(Database(postgres_service_pool)), 0
    while await keeper._step(RETENTION):
        steps += 1
        if steps % 40 == 0:
            assert await answers(postgres_recording) == expected
    assert steps > 80
    assert await answers(postgres_recording) == expected
    assert wrong(postgres_url) == (0, 0)
    ((left,),) = run(
        postgres_url,
        "SELECT count(*) FROM check_rollup_spans WHERE made_from > '2000-01-01 00:00Z'",
    )
    assert left == 0


def test_ranges_are_those_of_the_domain(postgres_url: str) -> None:
    """The server sorts every response time into the range that the domain does."""
    starts = [0, *(10**6 + n for n in range(-500, 500)), 3_600_000_000]
    value = 0
    while value < 3_600_000_000:  # where each range begins, and its neighbours
        starts += [max(value - 1, 0), value, value + 1]
        value = (value * 101 // 100) * 100 // 99 + 1
    values = sorted(set(starts))
    with psycopg.connect(postgres_url) as connection:
        rows = connection.execute("SELECT sketch_range(v) FROM unnest(%s::bigint[]) AS v", [values])
        assert [number for (number,) in rows] == [*map(range_of, values)]


def test_sketches_add_up_in_the_server(postgres_url: str) -> None:
    """The server puts sketches of hours together, and those of longer spans, as the domain does."""
    chance = random.Random(12)  # noqa: S311 - no secret
    values = [[chance.randrange(10 ** chance.randrange(1, 10)) for _ in range(40)] for _ in "123"]
    with psycopg.connect(postgres_url) as connection:

        def added(hours: int, sketches: list[bytes]) -> bytes:
            row = connection.execute("SELECT add_sketches(%s::smallint, %s)", (hours, sketches))
            (sketch,) = row.fetchone() or (b"",)
            return bytes(sketch)

        days = [added(1, [ranges(some[:7]), ranges(()), ranges(some[7:])]) for some in values]
        for sketch, some in zip(days, values, strict=True):
            assert unpack(b"", len(sketch).to_bytes(4, "big") + sketch) == Sketch.of(some)
        week = added(24, [*days, added(1, [])])
        assert unpack(b"", len(week).to_bytes(4, "big") + week) == Sketch.of(
            chain.from_iterable(values)
        )
        assert (added(1, []), added(24, [b""])) == (b"", b"")


def range_of(value: int) -> int:
    """Return the number of the range that the domain sorts a response time into."""
    (number,) = Sketch.of([value]).counts
    return number
