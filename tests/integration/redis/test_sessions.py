"""What of sessions and failure counts is in Redis, and what becomes of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest
from tests.fixtures.working import in_redis

from urlmon.domain.counters import MAX_FAILURES, FailureCount
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.sessions import LOGIN_WINDOW, Login, session_id_of, user_digest
from urlmon.errors import ConflictError, CorruptDataError, UnavailableError
from urlmon.testing.clock import NOON

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from urlmon.ports import SessionStore
    from urlmon_adapters.redis import RedisClient

TTL: Final = timedelta(minutes=5)
USER: Final = TenantId.new(), "ann"


async def create(sessions: SessionStore, login: Login) -> None:
    """Create the session of a login."""
    attributes = {"agent": "a browser"}
    await sessions.create(login.tenant_id, login, ttl=TTL, lifetime=2 * TTL, attributes=attributes)


async def test_tokens_are_not_kept(own_client: RedisClient, admin: Redis) -> None:
    """Nothing that Redis has lets anybody in: of a token there is only the digest."""
    sessions = in_redis(own_client).sessions
    await admin.flushall()
    login = await sessions.begin(*USER)
    await create(sessions, login)
    (key,) = await admin.keys("*")
    row = await admin.hgetall(key)
    kept = f"{key} {row}"
    assert session_id_of(login.token) in kept
    assert login.token.reveal().partition(".")[2] not in kept


async def test_memory_is_given_back(own_client: RedisClient, admin: Redis) -> None:
    """Redis keeps a user as long as a session or a login may be good, and a count for its ttl."""
    working = in_redis(own_client)
    sessions, key = working.sessions, own_client.keys.sessions(user_digest(*USER))
    login = await sessions.begin(*USER)
    second = timedelta(seconds=1)
    for lifetime in (LOGIN_WINDOW, 2 * LOGIN_WINDOW):
        login = await sessions.begin(*USER)
        await sessions.create(USER[0], login, ttl=lifetime, lifetime=lifetime)
        left = timedelta(milliseconds=await admin.pttl(key))
        assert lifetime - 10 * second < left <= lifetime + 2 * second
    await sessions.revoke(login.token)
    assert await admin.hget(key, f"data:{session_id_of(login.token)}") is None
    await working.advance(2 * LOGIN_WINDOW)
    assert await sessions.list(*USER) == ()
    assert await admin.hkeys(key) == ["generation"]
    await sessions.revoke_all(*USER)
    assert await admin.pttl(key) <= (LOGIN_WINDOW + 2 * second) // timedelta(milliseconds=1)
    monitor = USER[0], MonitorId.new()
    await working.counters.record(*monitor, scheduled_at=NOON, success=False, ttl=TTL)
    left = timedelta(milliseconds=await admin.pttl(own_client.keys.failures(*monitor)))
    assert TTL - 10 * second < left <= TTL + 2 * second


async def test_all_lost(own_client: RedisClient, admin: Redis) -> None:
    """After everything was lost no session is good, and no login that began before."""
    sessions = in_redis(own_client).sessions
    login, late = await sessions.begin(*USER), await sessions.begin(*USER)
    await create(sessions, login)
    await sessions.revoke_all(*USER)
    await admin.flushall()
    assert await sessions.find(login.token) is None
    await sessions.begin(*USER)
    for each in (login, late):
        with pytest.raises(ConflictError):
            await create(sessions, each)


async def test_full_server(own_client: RedisClient, admin: Redis) -> None:
    """A server whose memory is full takes no session in, but revokes those it has."""
    sessions = in_redis(own_client).sessions
    logins = [await sessions.begin(*USER) for _ in range(4)]
    for login in logins[:3]:
        await create(sessions, login)
    # A server that cannot be given a script revokes nothing.
    await sessions.revoke(logins[0].token)
    await sessions.revoke_all(TenantId.new(), "nobody")
    await admin.config_set("maxmemory", "1")
    await sessions.revoke(logins[1].token)
    assert await sessions.find(logins[1].token) is None
    with pytest.raises(UnavailableError, match="raise maxmemory") as caught:
        await create(sessions, logins[3])
    assert not caught.value.maybe_applied
    await sessions.revoke_all(*USER)
    assert await sessions.find(logins[2].token) is None
    assert await sessions.list(*USER) == ()
    await admin.config_set("maxmemory", "0")
    with pytest.raises(ConflictError):
        await create(sessions, logins[3])


@pytest.mark.parametrize(
    "damage",
    [
        ("data", "{"),
        ("data", "[]"),
        ("data", '["", "ann", []]'),
        ("times", "x"),
        ("times", "1 2 3"),
        ("times", "1 1 1 9e99 1 1"),
    ],
)
async def test_foreign_sessions(
    own_client: RedisClient, admin: Redis, damage: tuple[str, str]
) -> None:
    """What urlmon did not write is an error of its own, for whoever meets it."""
    sessions, key = in_redis(own_client).sessions, own_client.keys.sessions(user_digest(*USER))
    login = await sessions.begin(*USER)
    await create(sessions, login)
    await admin.hset(key, f"{damage[0]}:{session_id_of(login.token)}", damage[1])
    with pytest.raises(CorruptDataError):
        await sessions.find(login.token)
    with pytest.raises(CorruptDataError):
        await sessions.list(*USER)
    with pytest.raises(CorruptDataError):
        await create(sessions, login)
    await sessions.revoke_all(*USER)  # which does without what is there
    assert await sessions.find(login.token) is None


@pytest.mark.parametrize("damage", ["x", "1 2", "9999999999999999 x 1"])
async def test_foreign_counts(own_client: RedisClient, admin: Redis, damage: str) -> None:
    """A count that urlmon did not write is an error of its own."""
    counters, monitor = in_redis(own_client).counters, (USER[0], MonitorId.new())
    await admin.set(own_client.keys.failures(*monitor), damage)
    with pytest.raises(CorruptDataError):
        await counters.record(*monitor, scheduled_at=NOON, success=False, ttl=TTL)
    with pytest.raises(CorruptDataError):
        await counters.get(*monitor)
    with pytest.raises(CorruptDataError):
        await counters.reset(*monitor, until=NOON, ttl=TTL)


async def test_full_count(own_client: RedisClient, admin: Redis) -> None:
    """A count that cannot grow stays as it is, in Redis too."""
    counters, monitor = in_redis(own_client).counters, (USER[0], MonitorId.new())
    key = own_client.keys.failures(*monitor)
    await counters.record(*monitor, scheduled_at=NOON, success=False, ttl=TTL)
    end, watermark, _ = (await admin.get(key)).split(" ")
    await admin.set(key, f"{end} {watermark} {MAX_FAILURES}")
    later = NOON + TTL
    count = await counters.record(*monitor, scheduled_at=later, success=False, ttl=TTL)
    assert count == await counters.get(*monitor)
    assert count == FailureCount(failures=MAX_FAILURES, watermark=later)
