"""A worker of the crash simulation: checks, alerts, takes locks, and dies at the worst moments.

Each runs in a process of its own, for `os.kill` to end it.  What it did it notes in Redis, beside
the library's keys and without the proxy that loses replies: the test reads it afterwards.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import frozen
from redis.asyncio import Redis

from urlmon.domain.alert_policy import AlertPolicy
from urlmon.domain.check_results import CheckOutcome
from urlmon.errors import LeaseLostError, UnavailableError
from urlmon_adapters.redis import (
    Keys,
    RedisAlertStateCache,
    RedisClient,
    RedisLocks,
    RedisSchedule,
    RedisTransitionOutbox,
    RedisWorkingState,
    build_topology,
)
from urlmon_adapters.redis._client import StoreTime
from urlmon_adapters.redis._states import to_us

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from urlmon.domain.ids import MonitorId
    from urlmon.domain.scheduling import ClaimedCheck

T = TypeVar("T")

LEASE: Final = timedelta(seconds=30)
LOCK_TTL: Final = timedelta(seconds=5)
POLICY: Final = AlertPolicy(failure_threshold=1)
LOCKS: Final = 3
_TRIES: Final = 100
# A row that takes no write of an older fence, and remembers those that it took.
_GUARDED: Final = """
if tonumber(ARGV[1]) < tonumber(redis.call("HGET", KEYS[1], "fence") or 0) then return 0 end
redis.call("HSET", KEYS[1], "fence", ARGV[1])
redis.call("RPUSH", KEYS[2], ARGV[2])
return 1
"""


@frozen(kw_only=True)
class World:
    """What the workers share.

    Attributes:
        url: Redis, by the proxy that loses replies.
        beside: Redis without it.
        namespace: Of the library's keys.
        notes: What the keys of the notes begin with.
        offset_us: Memory that all see: by how much the time is pushed.  The test alone writes it.
        ending: Memory that all see: not 0 when the workers are to end.
    """

    url: str
    beside: str
    namespace: str
    notes: str
    offset_us: Any
    ending: Any


class SharedTime(StoreTime):
    """The time of a real store, pushed for all processes at once."""

    def __init__(self, offset_us: Any) -> None:
        self._offset_us = offset_us

    @property
    def offset(self) -> timedelta:  # type: ignore[override]
        """By how much it is pushed."""
        return timedelta(microseconds=self._offset_us.value)


class Stores:
    """The adapters on a world's keys."""

    def __init__(self, world: World, url: str) -> None:
        self._client = RedisClient(
            build_topology(url), keys=Keys(world.namespace), time=SharedTime(world.offset_us)
        )
        self.schedule = RedisSchedule(self._client)
        self.alert_state = RedisAlertStateCache(self._client)
        self.outbox = RedisTransitionOutbox(self._client)
        self.locks = RedisLocks(self._client)
        self.working_state = RedisWorkingState(self._client)
        self.aclose = self._client.aclose


def succeeds(monitor_id: MonitorId, scheduled_at: datetime) -> bool:
    """Say how a check ends: by chance, and always the same."""
    return zlib.crc32(b"%s %d" % (monitor_id.bytes, to_us(scheduled_at))) % 2 == 0


def outcome_of(claimed: ClaimedCheck) -> CheckOutcome:
    """Return what a check finds."""
    return CheckOutcome(
        tenant_id=claimed.tenant_id,
        monitor_id=claimed.monitor_id,
        location=claimed.location,
        scheduled_at=claimed.scheduled_at,
        success=succeeds(claimed.monitor_id, claimed.scheduled_at),
    )


def work(world: World, name: str, seed: int) -> None:
    """Work until the end, or until killed."""
    asyncio.run(_Worker(world, name, random.Random(seed)).run())  # noqa: S311 - no secret


async def again(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call as often as its reply is lost."""
    for _ in range(_TRIES):
        try:
            return await call()
        except UnavailableError:
            await asyncio.sleep(0.001)
    return await call()


class _Worker:
    def __init__(self, world: World, name: str, chance: random.Random) -> None:
        self._world = world
        self._name = name
        self._chance = chance
        self._requests = 0
        self._stores = Stores(world, world.url)
        self._redis = Redis.from_url(world.beside, protocol=2, decode_responses=True)

    async def run(self) -> None:
        jobs = [self.check, self.check, self.alert, self.alert, self.lock]
        while not self._world.ending.value:
            await self._chance.choice(jobs)()
        await self._stores.aclose()
        await self._redis.aclose()

    async def check(self) -> None:
        """Claim checks and complete them; let time pass where there are none."""
        request_id, schedule = self._request(), self._stores.schedule

        async def claim() -> tuple[ClaimedCheck, ...]:
            return await schedule.claim(request_id=request_id, limit=10, lease=LEASE)

        offset_us = self._world.offset_us.value
        claims = await again(claim)
        for each in claims:
            fact = [str(each.monitor_id), each.token, to_us(each.leased_until)]
            await self._note("story", json.dumps(fact))
        self._may_die(0.03)
        if claims and self._chance.random() < 0.1:
            repeated = {
                (each.monitor_id, each.scheduled_at, each.token) for each in await again(claim)
            }
            first = {(each.monitor_id, each.scheduled_at, each.token) for each in claims}
            if not repeated <= first and self._world.offset_us.value == offset_us:
                await self._note("problems", "a repeated claim gave something else")
        if not claims:
            await self._let_pass(timedelta(seconds=20))
        await self._may_stall(LEASE)
        for claimed in claims:
            await self._complete(claimed)

    async def _complete(self, claimed: ClaimedCheck) -> None:
        outcome = outcome_of(claimed)

        async def complete() -> object:
            return await self._stores.schedule.complete(claimed, outcome=outcome, policy=POLICY)

        await self._note("story", json.dumps([str(claimed.monitor_id), claimed.token, None]))
        try:
            decision: Any = await again(complete)
            self._may_die(0.005)
            if self._chance.random() < 0.1:
                repeated: Any = await again(complete)
                if repeated.transition not in {decision.transition, None}:
                    await self._note("problems", "a repeat decided something else")
        except LeaseLostError:
            await self._note("refused", claimed.token)
            return
        transition = decision.transition and decision.transition.id
        fact = [str(claimed.monitor_id), to_us(claimed.scheduled_at), claimed.token, transition]
        await self._note("completions", json.dumps(fact))

    async def alert(self) -> None:
        """Claim transitions, hand each over, and settle it."""
        request_id, outbox = self._request(), self._stores.outbox
        claims = await again(lambda: outbox.claim(request_id=request_id, limit=10, lease=LEASE))
        self._may_die(0.03)
        await self._may_stall(LEASE)
        for claimed in claims:
            await hand_over(self._redis, self._world, claimed.transition)
            self._may_die(0.01)
            try:
                await again(lambda claimed=claimed: outbox.settle(claimed))  # type: ignore[misc]
            except LeaseLostError:
                await self._note("refused", claimed.token)

    async def lock(self) -> None:
        """Take a lock and write what it guards, perhaps too late."""
        name, locks = f"job {self._chance.randrange(LOCKS)}", self._stores.locks
        lease = await again(lambda: locks.acquire(name, ttl=LOCK_TTL))
        if lease is None:
            return
        await self._note(f"grants:{name}", json.dumps([lease.fence, lease.token]))
        self._may_die(0.03)
        keys = self._key(f"row:{name}"), self._key(f"writes:{name}")
        if await self._may_stall(LOCK_TTL, likely=0.2):
            await self._until_overtaken(keys[0], lease.fence)
        if not await self._redis.eval(_GUARDED, 2, *keys, lease.fence, lease.token):
            await self._note("stale writes", lease.token)
        await self._note(f"releases:{name}", lease.token)
        self._may_die(0.03)
        await again(lambda: locks.release(lease))

    def _request(self) -> str:
        self._requests += 1
        return f"{self._name} {self._requests}"

    def _may_die(self, likely: float) -> None:
        """Die here and now, as if the power had gone."""
        if self._chance.random() < likely:
            os.kill(os.getpid(), signal.SIGKILL)

    async def _may_stall(self, lease: timedelta, *, likely: float = 0.05) -> bool:
        """Let more time pass than a lease lasts, now and then; say whether."""
        stalls = self._chance.random() < likely
        if stalls:
            await self._let_pass(lease + timedelta(seconds=1))
            await asyncio.sleep(0.05)  # for others to take over
        return stalls

    async def _until_overtaken(self, row: str, fence: int) -> None:
        """Wait for a moment until somebody with a newer lease has written."""
        for _ in range(2_000):
            if self._world.ending.value or int(await self._redis.hget(row, "fence") or 0) > fence:
                return
            await asyncio.sleep(0.001)

    async def _let_pass(self, duration: timedelta) -> None:
        """Ask for the time to be pushed on, and wait for that."""
        microseconds = duration // timedelta(microseconds=1)
        wanted = await self._redis.incrby(self._key("wanted offset"), microseconds)
        while self._world.offset_us.value < wanted and not self._world.ending.value:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def _note(self, what: str, fact: str) -> None:
        await self._redis.rpush(self._key(what), fact)

    def _key(self, what: str) -> str:
        return f"{self._world.notes}{what}"


async def hand_over(redis: Redis, world: World, transition: Any) -> None:
    """Do with a transition what an alerter does: tell somebody, who knows each by its id."""
    fact = [str(transition.monitor_id), to_us(transition.at), transition.kind, transition.id]
    async with redis.pipeline(transaction=True) as both:
        both.rpush(f"{world.notes}handed over", json.dumps(fact))
        both.sadd(f"{world.notes}transitions", transition.id)
        await both.execute()
