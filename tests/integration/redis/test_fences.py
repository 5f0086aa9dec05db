"""What a fence guards, whatever Redis loses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import psycopg
from tests.fixtures.working import in_redis

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from urlmon.domain.leases import Lease
    from urlmon_adapters.redis import RedisClient
    from urlmon_adapters.servers import RedisServer

TTL: Final = timedelta(seconds=30)
TABLE: Final = "CREATE TABLE guarded (name text PRIMARY KEY, value text, fence bigint NOT NULL)"
WRITE: Final = """
INSERT INTO guarded (name, value, fence) VALUES ('job', %s, %s)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, fence = excluded.fence
WHERE guarded.fence <= excluded.fence
"""


async def test_fences(
    own_client: RedisClient, own_redis: RedisServer, admin: Redis, empty_postgres_url: str
) -> None:
    """A row takes no older fence, also after Redis was emptied, killed, and its clock set back."""

    async def leased() -> Lease:
        lease = await in_redis(own_client).locks.acquire("job", ttl=TTL)
        assert lease is not None
        return lease

    async with await psycopg.AsyncConnection.connect(
        empty_postgres_url, autocommit=True
    ) as connection:
        await connection.execute(TABLE)

        async def writes(lease: Lease) -> bool:
            return (await connection.execute(WRITE, (lease.token, lease.fence))).rowcount == 1

        first = await leased()
        assert await writes(first)
        await admin.flushall()
        second = await leased()
        assert second.fence > first.fence
        assert await writes(second)
        assert not await writes(first)
        own_redis.kill()
        own_redis.start()
        third = await leased()
        assert third.fence > second.fence
        assert await writes(third)
        assert not await writes(second)
        own_redis.kill()
        own_redis.start()
        own_client.time.offset = -timedelta(days=1)
        behind = await leased()
        assert behind.fence < third.fence
        assert not await writes(behind)
        assert await writes(third)
