"""The schedule in Redis: its arithmetic, and what can happen between worker and server."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
from tests.fixtures.working import declare_whole, in_redis

from urlmon.domain.alerting import UNKNOWN, AlertPolicy, DecisionKind
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.scheduling import Grid, ScheduleEntry
from urlmon.errors import CorruptDataError, LeaseLostError, UnavailableError
from urlmon.testing.builders import an_outcome
from urlmon_adapters.redis._keys import bucket_of, bucket_order
from urlmon_adapters.redis._scripts import Script, load
from urlmon_adapters.redis._states import from_us, to_us

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from tests.fixtures.proxy import Proxy

    from urlmon.domain.scheduling import ClaimedCheck
    from urlmon.testing.contracts.stores import WorkingStores
    from urlmon_adapters.redis import RedisClient

HOUR: Final = timedelta(hours=1)
TTL: Final = timedelta(seconds=30)
POLICY: Final = AlertPolicy(failure_threshold=1)
CLAIM: Final = (
    "whole",
    "clock",
    "schedule",
    "schedule_run",
    "schedule_request",
    "schedule_claim",
)
PLACE: Final = "default"
_ARITHMETIC: Final = """
local answer = {}
for i = 2, #ARGV, 3 do
  -- Interval and phase as they are read: the claim does not make numbers of them.
  local interval, phase, moment = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  answer[#answer + 1] = text(at_or_before(moment, interval, phase))
  answer[#answer + 1] = text(after(moment, interval, phase))
end
return answer
"""


async def test_arithmetic(redis_client: RedisClient) -> None:
    """Slots come out of the script as they do of the rule, to the microsecond, for 190 years."""
    source = f"{load('clock', 'schedule').text}{_ARITHMETIC}"
    script = Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
    cases, arguments = [], list[int]()
    first, last = (to_us(datetime(year, 1, 1, tzinfo=UTC)) for year in (2000, 2199))
    for number in range(2_000):
        seconds = random.choice([1, 7, 60, 86_399, 86_400, random.randint(1, 86_400)])  # noqa: S311
        grid = Grid.of(MonitorId.new(), timedelta(seconds=seconds))
        moment = from_us(random.randint(first, last))  # noqa: S311
        if number % 2:  # on a slot, or right beside it
            moment = grid.after(moment) + timedelta(microseconds=random.randint(-1, 1))  # noqa: S311
        cases.append((grid, moment))
        microsecond = timedelta(microseconds=1)
        arguments += [grid.interval // microsecond, grid.phase // microsecond, to_us(moment)]
    reply = await redis_client.run("test", script, redis_client.keys.schedule(0, PLACE), *arguments)
    expected = [
        str(to_us(slot)).encode()
        for grid, moment in cases
        for slot in (grid.at_or_before(moment), grid.after(moment))
    ]
    assert reply == expected


async def _due(working: WorkingStores, number: int) -> list[tuple[TenantId, MonitorId]]:
    """Schedule monitors that are due."""
    keys = [(TenantId.new(), MonitorId.new()) for _ in range(number)]
    for key in keys:
        assert await working.schedule.upsert(*key, interval=HOUR, version=1, at_once=True)
    return keys


async def test_lost_reply_to_a_claim(proxied_client: RedisClient, proxy: Proxy) -> None:
    """What was leased by a request whose reply was lost is had by repeating the request."""
    working = in_redis(proxied_client)
    await _due(working, 40)
    await working.schedule.claim(request_id="knows the script", limit=1)
    proxy.lose_replies(to=load(*CLAIM).digest.encode())
    with pytest.raises(UnavailableError) as caught:
        await working.schedule.claim(request_id="r", limit=30)
    assert caught.value.maybe_applied
    assert proxy.still_to_lose == 0
    claims = await working.schedule.claim(request_id="r", limit=30)
    assert len(claims) == 30
    assert (await working.schedule.backlog()).due == 9
    for claimed in claims:
        await working.schedule.complete(claimed)


async def test_late_commands_of_a_repeated_claim(redis_client: RedisClient) -> None:
    """What is left of an earlier try and comes after its repeat leases nothing more."""
    working, keys = in_redis(redis_client), redis_client.keys
    await _due(working, 200)
    buckets = [
        (keys.checks(each, PLACE, "r"), *keys.schedule(each, PLACE), keys.whole(each))
        for each in bucket_order("r")
    ]
    calls = [(*bucket, "first", 2, TTL // timedelta(microseconds=1)) for bucket in buckets]
    await redis_client.run_each("test", load(*CLAIM), calls[:5], keys=4)
    claims = await working.schedule.claim(request_id="r", limit=32, lease=TTL)
    assert len(claims) == 10
    assert {each.token for each in claims} == {"first"}
    await redis_client.run_each("test", load(*CLAIM), calls, keys=4)
    assert (await working.schedule.backlog()).due == 190
    assert await working.schedule.claim(request_id="r", limit=32, lease=TTL) == claims


async def test_lost_reply_to_an_outcome(proxied_client: RedisClient, proxy: Proxy) -> None:
    """An outcome whose reply was lost is recorded once, and its repeat names the transition."""
    working = in_redis(proxied_client)
    await _due(working, 2)
    for number, claimed in enumerate(await working.schedule.claim(request_id="r")):
        key = claimed.tenant_id, claimed.monitor_id
        outcome = an_outcome(*key, scheduled_at=claimed.scheduled_at)
        if number:
            proxy.lose_replies(to=b"EVALSHA")
            with pytest.raises(UnavailableError):
                await working.schedule.complete(claimed, outcome=outcome, policy=POLICY)
        decision = await working.schedule.complete(claimed, outcome=outcome, policy=POLICY)
        assert decision is not None
        assert decision.transition is not None
        assert decision.kind is (DecisionKind.DUPLICATE if number else DecisionKind.APPLIED)
        assert await working.outbox.backlog() == number + 1


async def test_full_server(own_client: RedisClient, admin: Redis) -> None:
    """A server without memory refuses a completion as a whole."""
    working = in_redis(own_client)
    (key,) = await _due(working, 1)
    (claimed,) = await working.schedule.claim(request_id="r")
    outcome = an_outcome(*key, scheduled_at=claimed.scheduled_at)
    await admin.config_set("maxmemory", "1")
    for _ in range(2):
        with pytest.raises(UnavailableError, match="raise maxmemory"):
            await working.schedule.complete(claimed, outcome=outcome, policy=POLICY)
    await admin.config_set("maxmemory", "0")
    assert await working.alert_state.get(*key) == UNKNOWN
    assert await working.schedule.renew([claimed], lease=TTL) == (claimed,)
    decision = await working.schedule.complete(claimed, outcome=outcome, policy=POLICY)
    assert decision is not None
    assert decision.kind is DecisionKind.APPLIED


async def test_all_lost(own_client: RedisClient, admin: Redis) -> None:
    """After everything was lost so are claims, and a repaired schedule has the same slots."""
    working = in_redis(own_client)
    entries = [
        ScheduleEntry(
            tenant_id=TenantId.new(), monitor_id=MonitorId.new(), interval=HOUR, version=1
        )
        for _ in range(20)
    ]
    await working.schedule.seed(entries)
    await working.advance(HOUR)
    before = await working.schedule.claim(request_id="before", limit=100)
    await admin.flushall()
    backlog = await working.schedule.backlog()
    assert (backlog.scheduled, backlog.due) == (0, 0)
    assert await working.schedule.renew(before, lease=TTL) == ()
    with pytest.raises(UnavailableError, match="the working state was lost"):
        await working.schedule.complete(before[0])
    await working.schedule.seed(entries)
    await declare_whole(own_client)
    with pytest.raises(LeaseLostError):
        await working.schedule.complete(before[0])
    await working.advance(HOUR)
    after = await working.schedule.claim(request_id="after", limit=100)
    assert [each.scheduled_at - HOUR for each in after] == [each.scheduled_at for each in before]


@pytest.mark.parametrize("damage", ["text", "1 2 3", "60 0 1 1 0 waiting", "x x x x x x x"])
async def test_foreign_data(redis_client: RedisClient, damage: str) -> None:
    """What urlmon did not write is an error of its own, and no surprise later."""
    working, keys = in_redis(redis_client), redis_client.keys
    (key,) = await _due(working, 1)
    (claimed,) = await working.schedule.claim(request_id="r")
    runs, _ = keys.schedule(bucket_of(key[1]), PLACE)
    await redis_client.read("test", ("HSET", runs, f"{key[0]}:{key[1]}", damage))
    for call in (
        working.schedule.complete(claimed),
        working.schedule.renew([claimed], lease=TTL),
        working.schedule.release(claimed, delay=TTL),
        working.schedule.claim(request_id="r"),
        working.schedule.upsert(*key, interval=HOUR, version=2),
    ):
        with pytest.raises(CorruptDataError):
            await call


async def test_foreign_keys(redis_client: RedisClient) -> None:
    """A key of another type is the same error."""
    working, keys = in_redis(redis_client), redis_client.keys
    _, queue = keys.schedule(0, PLACE)
    await redis_client.read("test", ("SET", queue, "text"))
    with pytest.raises(CorruptDataError):
        await working.schedule.backlog()
    with pytest.raises(CorruptDataError):
        await working.schedule.claim(request_id="r")


@pytest.mark.parametrize("damage", ["text", "x default", ""])
async def test_foreign_monitors(redis_client: RedisClient, damage: str) -> None:
    """What stands for a monitor and is not urlmon's is the same error."""
    working = in_redis(redis_client)
    (key,) = await _due(working, 1)
    _, monitors = redis_client.keys.scheduled(*key)
    await redis_client.read("test", ("HSET", monitors, f"{key[0]}:{key[1]}", damage))
    for call in (
        working.schedule.upsert(*key, interval=HOUR, version=2),
        working.schedule.remove(*key),
    ):
        with pytest.raises(CorruptDataError):
            await call


async def test_what_a_location_lost(redis_client: RedisClient) -> None:
    """A location that lost its checks, and nothing else, is given them back by a seed."""
    working, keys = in_redis(redis_client), redis_client.keys
    (key,) = await _due(working, 1)
    entry = ScheduleEntry(
        tenant_id=key[0], monitor_id=key[1], interval=HOUR, locations=("a", "b"), version=2
    )
    await working.schedule.seed([entry])
    await redis_client.read("test", ("DEL", *keys.schedule(bucket_of(key[1]), "a")))
    assert (await working.schedule.backlog(location="a")).scheduled == 0
    for _ in range(2):
        await working.schedule.seed([entry])
        for place in ("a", "b"):
            assert (await working.schedule.backlog(location=place)).scheduled == 1
    other = entry.locations[:1]
    assert await working.schedule.upsert(*key, interval=HOUR, locations=other, version=2)
    assert (await working.schedule.backlog(location="b")).scheduled == 1


async def test_lost_bucket(redis_client: RedisClient) -> None:
    """Where one bucket was lost, as with a node of a cluster, the others go on."""
    working, keys = in_redis(redis_client), redis_client.keys
    (lost, *others) = sorted(await _due(working, 40), key=lambda key: bucket_of(key[1]))
    bucket = bucket_of(lost[1])
    await redis_client.read("test", ("DEL", keys.whole(bucket)))
    assert not await working.working_state.is_whole()
    with pytest.raises(UnavailableError, match="the working state was lost"):
        await working.schedule.claim(request_id="r")
    policy, whole = POLICY, [key for key in others if bucket_of(key[1]) != bucket]
    assert whole
    for key in whole:
        outcome = an_outcome(*key, scheduled_at=datetime.now(UTC))
        assert await working.alert_state.record(key[0], outcome, policy=policy)
    outcome = an_outcome(*lost, scheduled_at=datetime.now(UTC))
    with pytest.raises(UnavailableError, match="the working state was lost"):
        await working.alert_state.record(lost[0], outcome, policy=policy)
    assert await working.working_state.begin_repair("a")
    assert await working.working_state.finish_repair("a")
    assert len(await working.schedule.claim(request_id="r", limit=100)) == 40


async def test_many_workers(redis_client: RedisClient) -> None:
    """With workers that crash, stall and repeat, each slot is completed at most once."""
    working, dice = in_redis(redis_client), random.Random(7)  # noqa: S311
    keys = await _due(working, 120)
    done: Counter[tuple[MonitorId, datetime]] = Counter()
    held: dict[MonitorId, str] = {}
    refused = 0

    async def complete(claimed: ClaimedCheck) -> None:
        nonlocal refused
        try:
            for _ in range(dice.randint(1, 2)):
                await working.schedule.complete(claimed)
        except LeaseLostError:
            refused += 1
            return
        assert held[claimed.monitor_id] == claimed.token
        done[claimed.monitor_id, claimed.scheduled_at] += 1

    async def work(name: str) -> list[ClaimedCheck]:
        claims = await working.schedule.claim(request_id=name, limit=10, lease=TTL)
        assert await working.schedule.claim(request_id=name, limit=10, lease=TTL) == claims
        stalled = []
        for claimed in claims:
            held[claimed.monitor_id] = claimed.token
            fate = dice.random()
            if fate < 0.7:
                await complete(claimed)
            elif fate < 0.9:
                stalled.append(claimed)
        return stalled

    stalled: list[ClaimedCheck] = []
    for number in range(20):
        late = await asyncio.gather(*(work(f"{number} {each}") for each in range(8)))
        await asyncio.gather(*(complete(each) for each in stalled))
        stalled = [each for claims in late for each in claims]
        await working.advance(TTL)
    assert {monitor_id for monitor_id, _ in done} == {monitor_id for _, monitor_id in keys}
    assert set(done.values()) == {1}
    assert refused > 0
