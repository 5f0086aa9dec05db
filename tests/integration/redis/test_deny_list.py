"""When the list of denied tokens may have been lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.working import in_redis

from urlmon.errors import CorruptDataError

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from urlmon.testing.contracts.stores import WorkingStores
    from urlmon_adapters.redis import RedisClient
    from urlmon_adapters.servers import RedisServer

MINUTE = timedelta(minutes=1)
ISSUED = timedelta(minutes=3)


async def in_use(working: WorkingStores) -> datetime:
    """Use the list for some minutes, and return an instant at which a token was issued."""
    started = datetime.now(UTC)
    await working.deny_list.deny("denied", until=started + timedelta(days=1))
    await working.advance(2 * ISSUED)
    issued_at = started + ISSUED
    assert await working.deny_list.is_denied("denied", issued_at=issued_at)
    assert not await working.deny_list.is_denied("another", issued_at=issued_at)
    return issued_at


async def assert_begun_anew(working: WorkingStores, issued_at: datetime) -> None:
    """Assert that what was issued before is denied, and what is issued from now on is not."""
    for _ in range(2):
        assert await working.deny_list.is_denied("another", issued_at=issued_at)
        assert await working.deny_list.is_denied("denied", issued_at=issued_at)
    later = issued_at + ISSUED + MINUTE
    assert not await working.deny_list.is_denied("another", issued_at=later)
    await working.deny_list.deny("another", until=later + MINUTE)
    assert await working.deny_list.is_denied("another", issued_at=later)


async def test_all_lost(own_client: RedisClient, admin: Redis) -> None:
    """After everything was lost, every token that was issued before is denied."""
    working = in_redis(own_client)
    issued_at = await in_use(working)
    await admin.flushall()
    await assert_begun_anew(working, issued_at)


async def test_restored(own_client: RedisClient, own_redis: RedisServer, admin: Redis) -> None:
    """A server that was started anew has perhaps an older list: it counts as lost, too."""
    working = in_redis(own_client)
    issued_at = await in_use(working)
    mark, denial = own_client.keys.denial("denied")
    kept = {each: await admin.get(each) for each in (mark, denial)}
    own_redis.kill()
    own_redis.start()
    await own_client.aclose()
    await admin.mset(kept)  # as if it had read them from its disk
    await assert_begun_anew(working, issued_at)
    assert await working.deny_list.is_denied("denied", issued_at=issued_at + ISSUED + MINUTE)


async def test_foreign_data(own_client: RedisClient, admin: Redis) -> None:
    """A mark that urlmon did not write counts as lost; such a denial is an error."""
    working = in_redis(own_client)
    issued_at = await in_use(working)
    mark, denial = own_client.keys.denial("denied")
    await admin.set(mark, "x")
    await assert_begun_anew(working, issued_at)
    await admin.set(denial, "x")
    with pytest.raises(CorruptDataError):
        await working.deny_list.is_denied("denied", issued_at=issued_at)
    with pytest.raises(CorruptDataError):
        await working.deny_list.deny("denied", until=issued_at + timedelta(days=1))
