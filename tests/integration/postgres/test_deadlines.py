"""A deadline given to a call is kept, whatever the server or the way to it does."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from tests.fixtures.cancelling import cancelled_at
from tests.fixtures.proxy import Proxy
from tests.fixtures.waiting import until

from urlmon.errors import UnavailableError
from urlmon_adapters.postgres import Database, build_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from urlmon_adapters.postgres import Pool
    from urlmon_adapters.servers import PostgresServer

    Silence = Callable[[], None]

_DEADLINE: Final = 0.1
_LATEST: Final = 0.1


@pytest.fixture
async def proxy(own_postgres: PostgresServer) -> AsyncIterator[Proxy]:
    """The way to a server."""
    async with Proxy(own_postgres.url) as proxy:
        yield proxy


async def _answer(database: Database, question: int) -> int:
    async with database.everyone("probe") as connection:
        cursor = await connection.execute("SELECT %s", (question,))
        row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def _assert_answers_are_its_own(database: Database) -> None:
    """Ask as many questions at once as fill the pool; each gets its own answer."""
    asked = range(100, 108)
    assert await asyncio.gather(*(_answer(database, each) for each in asked)) == list(asked)


async def _whole(pool: Pool) -> None:
    """Wait until every connection is back or replaced."""
    await until(lambda: pool.get_stats()["pool_available"] == pool.get_stats()["pool_size"])


async def _begin(database: Database, silence: Silence) -> None:
    silence()
    async with database.everyone("test"):
        pass


async def _statement(database: Database, silence: Silence) -> None:
    async with database.everyone("test") as connection:
        silence()
        await connection.execute("SELECT 1")


async def _long_statement(database: Database, silence: Silence) -> None:
    async with database.everyone("test") as connection:
        sleeping = connection.execute("SELECT pg_sleep(1)")
        asyncio.get_running_loop().call_later(_DEADLINE / 2, silence)
        await sleeping


async def _commit(database: Database, silence: Silence) -> None:
    async with database.everyone("test") as connection:
        await connection.execute("SELECT 1")
        silence()


async def _rollback(database: Database, silence: Silence) -> None:
    async with database.everyone("test"):
        silence()
        await asyncio.sleep(5)


async def _rollback_of_an_error(database: Database, silence: Silence) -> None:
    with suppress(KeyError):
        async with database.everyone("test"):
            silence()
            raise KeyError


_PHASES: Final = (_begin, _statement, _long_statement, _commit, _rollback, _rollback_of_an_error)
_each_phase: Final = pytest.mark.parametrize("phase", _PHASES)


async def _lateness(call: Callable[[Silence], Awaitable[object]], silence: Silence) -> float:
    """Run a call whose deadline begins with the silence; return by how much it was late."""
    clock = asyncio.get_running_loop().time
    limit = asyncio.timeout(None)

    def begin() -> None:
        silence()
        limit.reschedule(clock() + _DEADLINE)

    with pytest.raises(TimeoutError):
        async with limit:
            await call(begin)
    due = limit.when()
    assert due is not None
    return clock() - due


@asynccontextmanager
async def _database(url: str, *, size: int = 2) -> AsyncIterator[tuple[Database, Pool]]:
    pool = build_pool(url, smallest=size, largest=size, timeout_seconds=2)
    await open_pool(pool)
    try:
        yield Database(pool), pool
    finally:
        await pool.close()


@contextmanager
def _freezer(server: PostgresServer) -> Iterator[Silence]:
    """Hand out a function that suspends every process of a server, at once; they go on later."""
    pids: list[int] = []

    def freeze() -> None:
        with psycopg.connect(server.url, autocommit=True) as admin:
            others = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            pids.extend(pid for (pid,) in admin.execute(others))
        assert server.pid is not None
        pids.append(server.pid)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    try:
        yield freeze
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@_each_phase
async def test_silent_network_does_not_delay_a_deadline(
    own_postgres: PostgresServer, proxy: Proxy, phase: Any, sessions_of: Callable[..., int]
) -> None:
    """Where packets are taken and not answered, calls end in time and leave a pool that works."""
    async with _database(proxy.url) as (database, pool):

        def silence() -> None:
            proxy.silent = True

        late = await _lateness(lambda begin: phase(database, begin), silence)
        proxy.silent = False
        assert late < _LATEST
        await _assert_answers_are_its_own(database)
        await _whole(pool)
        await until(lambda: sessions_of(own_postgres.url) == pool.get_stats()["pool_size"] == 2)


@_each_phase
async def test_frozen_server_does_not_delay_a_deadline(
    own_postgres: PostgresServer, phase: Any, sessions_of: Callable[..., int]
) -> None:
    """While the server's processes are suspended, calls end in time, and it works thereafter."""
    async with _database(own_postgres.url) as (database, pool):
        with _freezer(own_postgres) as freeze:
            late = await _lateness(lambda begin: phase(database, begin), freeze)
        assert late < _LATEST
        await _assert_answers_are_its_own(database)
        await _whole(pool)
        await until(lambda: sessions_of(own_postgres.url) == pool.get_stats()["pool_size"] == 2)


async def test_waiting_for_a_connection_ends_in_time(proxy: Proxy) -> None:
    """Neither a pool whose connections are all taken nor one that connects delays a deadline."""
    async with _database(proxy.url, size=1) as (database, pool):
        async with pool.transaction():
            assert await _lateness(lambda begin: _begin(database, begin), lambda: None) < _LATEST
        proxy.silent = True
        proxy.cut()
        assert await _lateness(lambda begin: _begin(database, begin), lambda: None) < _LATEST
        proxy.silent = False
        proxy.cut()
        await _assert_answers_are_its_own(database)


async def test_closing_waits_for_nobody(proxy: Proxy) -> None:
    """A pool whose connections are silent, and that is making others, is closed at once."""
    clock = asyncio.get_running_loop().time
    pool = build_pool(proxy.url, smallest=2, largest=2)
    await open_pool(pool)
    proxy.silent = True
    await pool.drain()
    await until(lambda: proxy.connections == 4)
    started = clock()
    await pool.close()
    assert clock() - started < _LATEST
    await until(lambda: not proxy._links, seconds=1)


async def test_opening_ends_in_time(proxy: Proxy) -> None:
    """A deadline on opening a pool is kept, and leaves it closed."""
    proxy.silent = True
    pool = build_pool(proxy.url)

    async def open_it(begin: Silence) -> None:
        begin()
        await open_pool(pool)

    assert await _lateness(open_it, lambda: None) < _LATEST
    assert pool.closed
    await until(lambda: not proxy._links, seconds=1)


@pytest.mark.parametrize("delay", [0, 0.05])
async def test_server_stops_what_nobody_waits_for(
    postgres_service_url: str, sessions_of: Callable[..., int], delay: float
) -> None:
    """A statement is stopped with its caller's deadline, near or far; near it costs no connection.

    Far away the request to stop arrives when the caller has gone.
    """
    async with Proxy(postgres_service_url) as proxy, _database(proxy.url, size=1) as both:
        database, pool = both
        proxy.delay, pid = delay, 0
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3 + 3 * delay), database.everyone("test") as connection:
                pid = connection.info.backend_pid
                await connection.execute("SELECT pg_sleep(60)")
        await until(lambda: not sessions_of(postgres_service_url, statement="%sleep%"), seconds=5)
        async with pool.transaction() as connection:
            assert (connection.info.backend_pid == pid) == (not delay)


async def _one_cancelled(database: Database, number: int) -> bool:
    """Cancel one call at its n-th wait; say whether it had as many."""

    async def run() -> bool:
        return await cancelled_at(number, _answer(database, -number))

    task = asyncio.create_task(run())
    await asyncio.wait({task})
    return task.cancelled() or task.result()


@pytest.mark.parametrize(("delay", "others"), [(0, 0), (0, 6), (0.002, 6)])
async def test_cancelling_anywhere_leaves_all_in_order(
    postgres_service_url: str,
    sessions_of: Callable[..., int],
    delay: float,
    others: int,
) -> None:
    """At whichever wait a call is cancelled, alone or among others: no reply goes astray.

    No connection is lost to the pool, and none stays open beside it.
    """
    over = False

    async def go_on(question: int) -> int:
        calls = 0
        while not over:
            assert await _answer(database, question) == question
            calls += 1
        return calls

    async with Proxy(postgres_service_url) as proxy, _database(proxy.url, size=3) as both:
        database, pool = both
        proxy.delay = delay
        tasks = [asyncio.create_task(go_on(each)) for each in range(others)]
        for _ in range(5):
            number = 1
            while await _one_cancelled(database, number):
                assert await _answer(database, number) == number
                number += 1
            assert number > 4
        over = True
        assert all(await asyncio.gather(*tasks))
        proxy.delay = 0
        await _whole(pool)
        await until(lambda: sessions_of(postgres_service_url) == pool.get_stats()["pool_size"] == 3)


async def _turns(number: int) -> None:
    """Let everybody else go on for some turns of the event loop."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_connection_on_its_way_to_a_caller_is_not_lost(proxy: Proxy) -> None:
    """Whoever is cancelled just when a connection changes hands, the giver or the taker.

    The one who is cancelled ends so, the other gets on, and the connection stays with the pool.
    """
    async with _database(proxy.url, size=1) as (database, pool):
        for before, after, cancel_giver in product(range(6), range(1, 10), (True, False)):
            connection = await pool.getconn()
            taker = asyncio.create_task(_answer(database, after))
            await _turns(before)
            giver = asyncio.create_task(pool._give_back(connection))
            await _turns(after)
            one, other = (giver, taker) if cancel_giver else (taker, giver)
            must_end = one.cancel()
            await asyncio.wait({one, other}, timeout=1)
            assert one.cancelled() or not must_end
            assert other.result() in {None, after}
            assert await _answer(database, -1) == -1
        await _whole(pool)


async def test_second_cancellation_ends_the_first(proxy: Proxy) -> None:
    """A caller that insists is let go at once, and its connection is not used again."""

    async def insist(database: Database) -> None:
        async with database.everyone("test") as connection:
            proxy.silent = True
            asking = asyncio.create_task(connection.execute("SELECT 1"))
            for _ in range(2):
                await asyncio.sleep(0.005)
                asking.cancel()
            await asyncio.wait({asking}, timeout=0.005)
            assert asking.cancelled()
            proxy.silent = False

    async with _database(proxy.url, size=1) as (database, _):
        with pytest.raises(UnavailableError) as caught:
            await insist(database)
        assert not caught.value.maybe_applied
