"""How check results get into PostgreSQL: by COPY, once each, whatever comes in between."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from attrs import evolve
from tests.fixtures.cancelling import cancelled_at
from tests.fixtures.pgbouncer import pgbouncer
from tests.fixtures.proxy import Proxy
from tests.fixtures.recording import in_postgres
from tests.fixtures.waiting import longest_turn, until

from urlmon.domain.check_results import MAX_BATCH, CheckError, CheckResult, ErrorKind
from urlmon.domain.fates import ALREADY_THERE, NEW, Fate, Refusal
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.errors import StoreError, UnavailableError
from urlmon.testing.builders import a_result
from urlmon.testing.clock import FakeClock
from urlmon_adapters.postgres import build_pool

if TYPE_CHECKING:
    from datetime import datetime

    from urlmon.testing.contracts.stores import ResultStores

SECOND: Final = timedelta(seconds=1)
TENANT: Final = TenantId.new()
MONITOR: Final = MonitorId.new()
BOOM: Final = CheckError(kind=ErrorKind.TIMEOUT, message="10 s")


def results(number: int, *, until_at: datetime, **given: Any) -> list[CheckResult]:
    """Return results of one monitor, a second apart, the newest first."""
    return [
        a_result(TENANT, MONITOR, scheduled_at=until_at - place * SECOND, **given)
        for place in range(number)
    ]


def run(url: str, statement: str) -> list[Any]:
    """Run a statement as the owner."""
    with psycopg.connect(url, autocommit=True) as admin:
        cursor = admin.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


async def test_new_results_come_by_copy(
    postgres_url: str, postgres_recording: ResultStores
) -> None:
    """A login that may take the role for it needs no other right to append."""
    run(postgres_url, "REVOKE INSERT ON check_results FROM urlmon_service")
    batch = results(3, until_at=postgres_recording.clock.now())
    assert await postgres_recording.results.record(batch) == (NEW,) * 3


@pytest.mark.parametrize(
    "hindrance",
    [
        "REVOKE INSERT ON check_results FROM urlmon_ingest",
        "CREATE ROLE apart LOGIN NOINHERIT PASSWORD 'x' IN ROLE urlmon_tenant, urlmon_service",
    ],
)
async def test_without_the_role_results_come_by_insert(
    postgres_url: str, postgres_service_url: str, still_clock: FakeClock, hindrance: str
) -> None:
    """Where no superuser made the role, or did not grant it, results are stored all the same."""
    with suppress(psycopg.errors.DuplicateObject):
        run(postgres_url, hindrance)
    if "apart" in hindrance:
        login = "urlmon_test_login"
        postgres_service_url = postgres_service_url.replace(f"{login}:{login}", "apart:x")
    async with build_pool(postgres_service_url) as pool:
        stores = in_postgres(pool, still_clock)
        batch = results(1_200, until_at=still_clock.now())
        assert await stores.results.record(batch[:700]) == (NEW,) * 700
        assert await stores.results.record(batch) == (ALREADY_THERE,) * 700 + (NEW,) * 500
    assert run(postgres_url, "SELECT count(*) FROM check_results") == [(1_200,)]


async def test_fates_of_a_mixture(postgres_recording: ResultStores) -> None:
    """What is new, known, outranked, too old and twice in a batch is told apart at any place."""
    now = postgres_recording.clock.now()
    batch = results(900, until_at=now)
    await postgres_recording.results.record(batch[::3])
    worse = [
        evolve(each, error=BOOM) if place % 6 == 0 else each for place, each in enumerate(batch)
    ]
    old = a_result(TENANT, MONITOR, scheduled_at=now - timedelta(days=91))
    fates = await postgres_recording.results.record([old, *worse, worse[1]])
    expected = tuple(ALREADY_THERE if place % 3 == 0 else NEW for place in range(900))
    assert fates == (Fate(refusal=Refusal.EXPIRED), *expected, ALREADY_THERE)
    period = Period(since=now - timedelta(hours=1), until=now + SECOND)
    page = await postgres_recording.results.history(TENANT, [MONITOR], period=period, limit=1_000)
    assert page.items == tuple(worse)


async def test_what_the_server_would_never_take_is_put_aside(
    postgres_url: str, postgres_recording: ResultStores
) -> None:
    """A row that breaks a constraint is refused alone, by the constraint's name; the rest stays."""
    run(postgres_url, "ALTER TABLE check_results ADD CONSTRAINT luck CHECK (size_bytes <> 13)")
    now = postgres_recording.clock.now()
    batch = results(300, until_at=now, size_bytes=1)
    bad = {0, 7, 8, 150, 299}
    given = [evolve(each, size_bytes=13) if n in bad else each for n, each in enumerate(batch)]
    for _ in range(2):
        fates = await postgres_recording.results.record(given)
        assert {
            place for place, fate in enumerate(fates) if fate.refusal is Refusal.REJECTED
        } == bad
        assert {fates[place].reason for place in bad} == {
            "the server refused it (SQLSTATE 23514, luck)"
        }
    assert run(postgres_url, "SELECT count(*), max(size_bytes) FROM check_results") == [(295, 1)]


async def test_months_are_made_where_nothing_takes_their_rows(
    postgres_url: str, postgres_recording: ResultStores
) -> None:
    """Without a default partition, the partition that a row lacks is made."""
    run(postgres_url, "ALTER TABLE check_results DETACH PARTITION check_results_default")
    old = postgres_recording.clock.now() - timedelta(days=80)
    batch = results(3, until_at=old) + results(2, until_at=postgres_recording.clock.now())
    assert await postgres_recording.results.record(batch) == (NEW,) * 5
    name = f"check_results_{old:%Y_%m}"
    assert run(postgres_url, f"SELECT count(*) >= 1 FROM {name}") == [(True,)]


async def test_through_a_transaction_pooler(
    postgres_service_url: str, still_clock: FakeClock
) -> None:
    """New results, repeats and failures get through a pooler that changes sessions."""
    batch = results(500, until_at=still_clock.now())
    worse = [evolve(each, error=BOOM) for each in batch[:20]]
    with pgbouncer(postgres_service_url, sessions=2) as url:
        async with build_pool(url, largest=4) as pool:
            stores = in_postgres(pool, still_clock)
            pieces = [batch[first : first + 100] for first in range(0, 500, 100)]
            fates = await asyncio.gather(*map(stores.results.record, pieces))
            assert set(sum(fates, ())) == {NEW}
            again = await asyncio.gather(*map(stores.results.record, [*pieces, worse, worse]))
            assert set(sum(again, ())) == {ALREADY_THERE}


async def test_a_batch_lets_others_in(postgres_recording: ResultStores) -> None:
    """Whoever else wants the event loop gets it soon, by the processor's time, in a full batch."""
    given = results(MAX_BATCH, until_at=postgres_recording.clock.now())
    for batch in (given, given, [evolve(each, error=BOOM) for each in given]):
        assert await longest_turn(postgres_recording.results.record(batch)) < 0.008


@pytest.mark.parametrize("lost", [b"check_results", b"COMMIT"])
async def test_a_lost_reply_counts_once(
    postgres_service_url: str, postgres_url: str, still_clock: FakeClock, lost: bytes
) -> None:
    """Whatever reply is lost, the batch is there once, and its caller hears that it is there."""
    batch = results(600, until_at=still_clock.now())
    async with Proxy(postgres_service_url) as proxy, build_pool(proxy.url, largest=1) as pool:
        stores = in_postgres(pool, still_clock)
        proxy.lose_replies(1, to=lost)
        fates = await stores.results.record(batch)
        assert proxy.still_to_lose == 0
        assert set(fates) == ({ALREADY_THERE} if lost == b"COMMIT" else {NEW})
    assert run(postgres_url, "SELECT count(*) FROM check_results") == [(600,)]


async def test_cancelling_anywhere_leaves_all_or_nothing(
    postgres_service_url: str, postgres_url: str, still_clock: FakeClock
) -> None:
    """A batch cancelled at whichever wait is there as a whole or not at all, and is repeatable."""
    now = still_clock.now()
    async with build_pool(postgres_service_url, largest=2) as pool:
        stores = in_postgres(pool, still_clock)

        async def one(number: int, batch: list[CheckResult]) -> bool:
            return await cancelled_at(number, stores.results.record(batch))

        number, had_it = 1, True
        while had_it:
            batch = results(600, until_at=now - number * timedelta(hours=1))
            await stores.results.record(batch[:100])
            task = asyncio.create_task(one(number, batch))
            await asyncio.wait({task})
            had_it = task.cancelled() or task.result()
            since, till = batch[-1].scheduled_at, batch[0].scheduled_at
            bounds = f"scheduled_at BETWEEN '{since}' AND '{till}'"
            ((count,),) = run(postgres_url, f"SELECT count(*) FROM check_results WHERE {bounds}")
            assert count in {100, 600}
            fates = await stores.results.record(batch)
            assert all(fate.stored for fate in fates)
            number += 1
        assert number > 20
        await until(lambda: pool.get_stats()["pool_available"] == pool.get_stats()["pool_size"])


async def test_a_frozen_server_does_not_delay_a_deadline(
    postgres_service_url: str, still_clock: FakeClock
) -> None:
    """A COPY whose caller's time is over ends, though the server says nothing any more."""
    batch = results(MAX_BATCH, until_at=still_clock.now())
    async with Proxy(postgres_service_url) as proxy, build_pool(proxy.url, largest=1) as pool:
        stores = in_postgres(pool, still_clock)
        await stores.results.latest(TENANT, [MONITOR])
        clock = asyncio.get_running_loop().time
        for seconds in (0.02, 0.05, 0.1, 0.2):
            started = clock()
            asyncio.get_running_loop().call_later(seconds / 2, setattr, proxy, "silent", 1)
            with suppress(TimeoutError, UnavailableError):
                async with asyncio.timeout(seconds):
                    await stores.results.record(batch)
            assert clock() - started < seconds + 1
            proxy.silent = False
        assert all(fate.stored for fate in await stores.results.record(batch))


async def test_a_collision_in_the_middle(
    postgres_recording: ResultStores,
) -> None:
    """Who stores the same at the same time waits for the other, and finds it there."""
    batch = results(50, until_at=postgres_recording.clock.now())
    others = [[*batch[place:], *batch[:place]] for place in range(0, 50, 5)]
    fates = await asyncio.gather(*(postgres_recording.results.record(each) for each in others))
    assert sum(fate == NEW for fate in sum(fates, ())) == 50


async def test_other_refusals_are_no_fates(
    postgres_url: str, postgres_recording: ResultStores
) -> None:
    """What is no fault of a row is an error of the call, and nothing is stored."""
    run(postgres_url, "REVOKE INSERT ON check_results FROM urlmon_ingest, urlmon_service")
    with pytest.raises(StoreError, match="privilege"):
        await postgres_recording.results.record(results(2, until_at=postgres_recording.clock.now()))
