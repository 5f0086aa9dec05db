"""Calls go on over the loss of connections and restarts of the server."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager, suppress
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from tests.fixtures.proxy import Proxy
from tests.fixtures.waiting import until

from urlmon.domain.health import HealthStatus
from urlmon.errors import AlreadyExistsError, StoreError, UnavailableError
from urlmon.ports import HealthCheck
from urlmon.testing.builders import a_tenant
from urlmon_adapters import postgres
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.postgres import (
    Database,
    Migrations,
    PostgresHealthCheck,
    PostgresTenantRepo,
    build_pool,
    open_pool,
)
from urlmon_adapters.postgres._repeats import repeatable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from typing import LiteralString

    from urlmon_adapters.postgres import Pool
    from urlmon_adapters.servers import PostgresServer

_END_SESSIONS: Final = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE application_name = 'urlmon' AND datname = current_database()
"""
_PIDS: Final = "SELECT pid FROM pg_stat_activity WHERE application_name = 'urlmon'"


@asynccontextmanager
async def _pool(url: str, size: int = 1, *, timeout_seconds: float = 10) -> AsyncIterator[Pool]:
    pool = build_pool(url, smallest=size, largest=size, timeout_seconds=timeout_seconds)
    await open_pool(pool)
    try:
        yield pool
    finally:
        await pool.close()


def _end_sessions(url: str) -> None:
    """Have the server end every session of a service."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(_END_SESSIONS)


@repeatable
class _Calls:
    """Calls whose every run does what is next on a list."""

    def __init__(self, database: Database, *runs: LiteralString) -> None:
        self._database = database
        self._runs = list(runs)
        self.count = 0

    async def run(self) -> None:
        self.count += 1
        async with self._database.everyone("run") as connection:
            if self._runs:
                await connection.execute(self._runs.pop(0))

    async def ask(self, question: int) -> int:
        async with self._database.everyone("ask") as connection:
            await connection.execute("SELECT pg_sleep(0.002)")
            cursor = await connection.execute("SELECT %s", (question,))
            return (await cursor.fetchone() or (0,))[0]


# The first statement


@pytest.mark.parametrize("size", [2, 8])
async def test_sessions_that_ended_are_replaced_once(
    postgres_url: str, postgres_service_url: str, size: int
) -> None:
    """No call notices sessions that ended while nobody used them; each is made again once.

    So it is when a call that holds one finds out later.
    """
    async with _pool(postgres_service_url, size) as pool:
        database = Database(pool)

        async def call() -> None:
            async with database.everyone("test") as connection:
                await connection.execute("SELECT 1")

        async def hold() -> None:
            async with database.everyone("test") as connection:
                _end_sessions(postgres_url)
                await asyncio.gather(*(call() for _ in range(3 * size)))
                await until(lambda: pool.get_stats()["pool_available"] == size - 1)
                await connection.execute("SELECT 1")

        with pytest.raises(UnavailableError):
            await hold()
        await until(lambda: pool.get_stats()["pool_available"] == size)
        assert pool.get_stats()["connections_num"] == 2 * size


async def test_sessions_that_ended_are_no_fault_of_the_server(
    postgres_url: str, postgres_service_url: str
) -> None:
    """A health check passes over connections that were lost while nobody used them."""
    async with _pool(postgres_service_url) as pool:
        check = PostgresHealthCheck(pool, SystemClock(), Migrations(postgres_url))
        _end_sessions(postgres_url)
        assert (await check.check()).status is HealthStatus.PASS


async def test_server_that_ends_every_session_is_not_hammered(own_postgres: PostgresServer) -> None:
    """A call goes on for the pool's time limit, with pauses, and then says so."""
    async with (
        Proxy(own_postgres.url) as proxy,
        _pool(proxy.url, timeout_seconds=2) as pool,
    ):
        before = proxy.connections
        proxy.lose_replies(1_000, to=b"BEGIN")
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="no connection was free in time") as caught:
            async with Database(pool).everyone("test"):
                pytest.fail("no transaction can have begun")
        assert not caught.value.maybe_applied
        assert 1.9 < time.monotonic() - started < 2.5
        assert 10 < proxy.connections - before < 80


# Within the transaction


def _raised(sqlstate: str) -> LiteralString:
    return f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END $$"  # type: ignore[return-value]


_ENDED: Final = "RESET ROLE; SELECT pg_terminate_backend(pg_backend_pid())"
_TABLE: Final = [
    # What happens in each run; how often the call is run; how it ends.
    ((_ENDED,), 2, None),
    ((_ENDED, _ENDED), 2, UnavailableError),
    ((_raised("40001"),) * 3, 4, None),
    ((_raised("40P01"),) * 3, 4, None),
    ((_raised("40P01"),) * 4, 4, UnavailableError),
    ((_raised("40001"), _ENDED), 2, UnavailableError),
    ((_raised("08006"),), 2, None),
    ((_raised("57P03"),), 2, None),
    ((_raised("57014"),), 1, UnavailableError),
    ((_raised("55P03"),), 1, UnavailableError),
    ((_raised("53200"),), 1, UnavailableError),
    ((_raised("25006"),), 1, UnavailableError),
    ((_raised("42501"),), 1, StoreError),
]


@pytest.mark.parametrize(("runs", "count", "error"), _TABLE)
async def test_runs_a_call_again_where_that_helps(
    postgres_url: str,
    runs: Sequence[LiteralString],
    count: int,
    error: type[StoreError] | None,
) -> None:
    """Once after a lost connection, three times after a collision, never after an answer."""
    async with _pool(postgres_url) as pool:
        calls = _Calls(Database(pool), *runs)
        if error is None:
            await calls.run()
        else:
            with pytest.raises(error) as caught:
                await calls.run()
            assert not getattr(caught.value, "maybe_applied", False)
        assert calls.count == count


def test_every_port_runs_its_calls_again() -> None:
    """No adapter of a port was forgotten; a health check tells what it finds, once."""
    adapters = [
        each
        for each in vars(postgres).values()
        if isinstance(each, type) and each.__base__ is not HealthCheck
        if each.__base__ is not None and each.__base__.__module__.startswith("urlmon.ports")
    ]
    assert PostgresTenantRepo in adapters
    for adapter in adapters:
        calls = [name for name, each in vars(adapter).items() if iscoroutinefunction(each)]
        bare = [name for name in calls if not hasattr(getattr(adapter, name), "__wrapped__")]
        assert not [name for name in bare if not name.startswith("_")], adapter


async def test_deadlock_is_nothing_a_caller_sees(postgres_url: str) -> None:
    """Of two calls that lock the same rows in opposite order, both get through."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE TABLE locked AS SELECT n FROM generate_series(1, 2) AS n")
        admin.execute("GRANT ALL ON locked TO urlmon_service")

    @repeatable
    class Locking:
        async def both(self, database: Database, first: int) -> int:
            async with database.everyone("both") as connection:
                lock = "SELECT n FROM locked WHERE n = %s FOR UPDATE"
                await connection.execute(lock, (first,))
                await asyncio.sleep(0.1)
                await connection.execute(lock, (3 - first,))
            return first

    async with _pool(postgres_url, 2) as pool:
        calls = (Locking().both(Database(pool), first) for first in (1, 2))
        assert await asyncio.gather(*calls) == [1, 2]


@pytest.mark.parametrize(
    ("lost", "times", "maybe_applied"),
    [
        (b"INSERT INTO tenants", 1, None),
        (b"COMMIT", 1, None),
        (b"INSERT INTO tenants", 2, False),
        (b"COMMIT", 2, True),
    ],
)
async def test_lost_reply_is_asked_for_again(
    postgres_service_url: str, *, lost: bytes, times: int, maybe_applied: bool | None
) -> None:
    """A write whose reply was lost is stored once; lost again, the error says what may have been.

    Args:
        postgres_service_url: The database.
        lost: To which request the reply is lost.
        times: How often.
        maybe_applied: What the error says; None where there is none.
    """
    async with Proxy(postgres_service_url) as proxy, _pool(proxy.url) as pool:
        repo, tenant = PostgresTenantRepo(Database(pool)), a_tenant()
        proxy.lose_replies(times, to=lost)
        if maybe_applied is None:
            assert await repo.add(tenant) == tenant
        else:
            with pytest.raises(UnavailableError) as caught:
                await repo.add(tenant)
            assert caught.value.maybe_applied is maybe_applied
        assert proxy.still_to_lose == 0
        assert await repo.add(tenant) == tenant
        assert (await repo.list()).items == (tenant,)


async def test_answer_to_a_commit_is_an_answer(postgres_url: str) -> None:
    """A transaction that the server refused when it was to end was not applied."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        admin.execute("GRANT ALL ON once TO urlmon_service")
        function = "CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN "
        admin.execute(function + "RAISE EXCEPTION USING ERRCODE = '40001'; END $f$")
        trigger = "CREATE CONSTRAINT TRIGGER collide AFTER INSERT ON once INITIALLY DEFERRED "
        admin.execute(trigger + "FOR EACH ROW EXECUTE FUNCTION collide()")
    async with _pool(postgres_url) as pool:
        with pytest.raises(UnavailableError) as caught:
            await _Calls(Database(pool), *["INSERT INTO once VALUES (1)"] * 4).run()
        assert not caught.value.maybe_applied


async def test_what_an_earlier_run_may_have_done_is_not_forgotten() -> None:
    """A call says that it may have been applied when only an earlier run of it may have been."""
    errors = [
        UnavailableError("postgresql", "go", "lost", maybe_applied=True),
        UnavailableError("postgresql", "go", "lost"),
        AlreadyExistsError("postgresql", "go", entity="tenant", field="slug"),
    ]

    @repeatable
    class Failing:
        async def go(self) -> None:
            raise errors.pop(0)

    with pytest.raises(UnavailableError) as caught:
        await Failing().go()
    assert caught.value.maybe_applied
    with pytest.raises(AlreadyExistsError):
        await Failing().go()


# Restarts


def _restart(server: PostgresServer) -> None:
    server.stop()
    server.start()


def _crash(server: PostgresServer) -> None:
    server.kill()
    server.start()


def _restart_later(server: PostgresServer) -> None:
    """Stay away for longer than a pool of the driver alone takes to lose patience."""
    server.stop()
    time.sleep(2.5)
    server.start()


def _immediate_restart(server: PostgresServer) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGQUIT)
    while _answers(server):
        pass
    _restart(server)


def _kill_a_session(server: PostgresServer) -> None:
    """Have the server end all sessions, because it lost one and so trusts none."""
    with psycopg.connect(server.url, autocommit=True) as admin:
        (pid,) = admin.execute(_PIDS).fetchone() or (0,)
        os.kill(pid, signal.SIGKILL)
        with suppress(psycopg.OperationalError):
            while True:
                admin.execute("SELECT pg_sleep(0.01)")
    while not _answers(server):
        time.sleep(0.01)


def _answers(server: PostgresServer) -> bool:
    try:
        psycopg.connect(server.url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.parametrize(
    ("size", "fault"),
    [
        (1, _restart),
        (8, _restart),
        (32, _restart),
        (8, _restart_later),
        (1, _crash),
        (32, _crash),
        (8, _immediate_restart),
        (1, _kill_a_session),
        (32, _kill_a_session),
    ],
)
async def test_calls_go_on_over_a_restart(
    own_postgres: PostgresServer, size: int, fault: Callable[[PostgresServer], None]
) -> None:
    """Under load no call fails, and they go on within half a second of the server's return."""
    clock = asyncio.get_running_loop().time
    answered: list[float] = []
    over = False

    async def go_on(calls: _Calls, question: int) -> None:
        while not over:
            assert await calls.ask(question) == question
            answered.append(clock())

    async with _pool(own_postgres.url, size) as pool:
        calls = _Calls(Database(pool))
        async with asyncio.TaskGroup() as tasks:
            for question in range(2 * size):
                tasks.create_task(go_on(calls, question))
            await until(lambda: len(answered) > 4 * size)
            await asyncio.to_thread(fault, own_postgres)
            returned = clock()
            await until(lambda: answered[-1] > returned)
            over = True
        first = next(each for each in answered if each > returned)
        assert first - returned < 0.5
        await until(lambda: pool.get_stats()["pool_available"] == size)


async def test_server_that_stays_away_is_said_in_time(own_postgres: PostgresServer) -> None:
    """A call waits as long as the pool allows; meanwhile the server is knocked at now and then."""
    async with Proxy(own_postgres.url) as proxy, _pool(proxy.url, 8, timeout_seconds=2) as pool:
        proxy.refusing = True
        proxy.cut()
        before = proxy.connections
        calls = _Calls(Database(pool))
        started = time.monotonic()
        found = await asyncio.gather(*(calls.run() for _ in range(20)), return_exceptions=True)
        assert [type(each) for each in found] == [UnavailableError] * 20
        assert 1.9 < time.monotonic() - started < 2.5
        assert calls.count == 20
        assert 5 < proxy.connections - before < 30
        proxy.refusing = False
        started = time.monotonic()
        await calls.run()
        assert time.monotonic() - started < 0.5
