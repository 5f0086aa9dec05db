"""Workers that are killed, stall beyond their leases, repeat themselves and lose replies."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import secrets
import signal
from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from multiprocessing.sharedctypes import RawValue
from typing import TYPE_CHECKING, Any, Final

import pytest
from redis.asyncio import Redis
from tests.campaign.crash_worker import (
    LEASE,
    LOCK_TTL,
    LOCKS,
    POLICY,
    Stores,
    World,
    hand_over,
    outcome_of,
    succeeds,
    work,
)
from tests.fixtures.proxy import Proxy
from tests.fixtures.working import remove_keys

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.scheduling import ScheduleEntry
from urlmon_adapters.redis import Keys
from urlmon_adapters.redis._states import from_us

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from multiprocessing.context import ForkServerProcess

    from tests.fixtures.campaign import CampaignSize, Progress

WORKERS: Final = 4
MONITORS: Final = 60
INTERVAL: Final = timedelta(minutes=1)
_MICROSECOND: Final = timedelta(microseconds=1)
# Loses all keys of a prefix in one step; answers the server's time in microseconds.
_LOSE: Final = """
for _, key in ipairs(redis.call("KEYS", ARGV[1] .. "*")) do redis.call("DEL", key) end
local time = redis.call("TIME")
return time[1] .. string.format("%06d", time[2])
"""


class Crew:
    """The workers; a killed one is replaced."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["__main__", "tests.campaign.crash_worker"])
        self._world = world
        self._chance = chance
        self._crew: list[ForkServerProcess] = []
        self.killed = 0

    def replace(self) -> None:
        """Count the dead, and let others begin."""
        alive = [each for each in self._crew if each.is_alive()]
        for each in set(self._crew) - set(alive):
            assert each.exitcode == -signal.SIGKILL
            self.killed += 1
        while len(alive) < WORKERS:
            name, seed = secrets.token_hex(4), self._chance.getrandbits(64)
            process = self._processes.Process(
                target=work, args=(self._world, name, seed), daemon=True
            )
            process.start()
            alive.append(process)
        self._crew = alive

    def kill_one(self) -> None:
        """Kill somebody, wherever it is."""
        self._chance.choice(self._crew).kill()

    def end(self) -> None:
        """Let all who live end of themselves."""
        self._world.ending.value = 1
        for each in self._crew:
            each.join(60)
            assert each.exitcode in {0, -signal.SIGKILL}


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    """A proxy in front of the shared Redis."""
    async with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
async def world(redis_url: str, proxy: Proxy) -> AsyncIterator[World]:
    """A world on keys of its own, its Redis behind the proxy."""
    namespace = f"test-{secrets.token_hex(8)}:"
    yield World(
        url=proxy.url,
        beside=redis_url,
        namespace=namespace,
        notes=f"{namespace}notes:",
        offset_us=RawValue("q", 0),
        ending=RawValue("b", 0),
    )
    await remove_keys(redis_url, Keys(namespace))


@pytest.mark.campaign
async def test_crashes(
    world: World, proxy: Proxy, campaign_size: CampaignSize, progress: Progress
) -> None:
    """Whoever dies whenever: no check counts twice, none is stranded, no transition is lost."""
    transitions, kills = campaign_size(10_000), campaign_size(1_000)
    chance = random.Random()  # noqa: S311 - no secret
    tenant_id = TenantId.new()
    monitors = [MonitorId.new() for _ in range(MONITORS)]
    stores = Stores(world, world.beside)
    await stores.working_state.begin_repair("nothing is lost")
    assert await stores.working_state.finish_repair("nothing is lost")
    await stores.schedule.seed(
        [
            ScheduleEntry(tenant_id=tenant_id, monitor_id=each, interval=INTERVAL, version=1)
            for each in monitors
        ]
    )
    async with Redis.from_url(world.beside, protocol=2, decode_responses=True) as redis:
        crew, seen, lost = Crew(world, chance), 0, 0
        while (
            seen < transitions
            or crew.killed < kills
            or lost <= kills // 10
            or not await _has_bitten(redis, world)
        ):
            crew.replace()
            await _push_time(redis, world)
            if not proxy.still_to_lose and chance.random() < 0.3:
                proxy.lose_replies(to=b"EVALSHA")
                lost += 1
            if chance.random() < 0.01:
                await _lose_locks(redis, world)
            if crew.killed * transitions < seen * kills or seen >= transitions:
                crew.kill_one()
            seen = await redis.scard(f"{world.notes}transitions")
            progress(min(seen, crew.killed * transitions // kills), transitions)
            await asyncio.sleep(0.005)
        await asyncio.to_thread(crew.end)
        await _finish(redis, world, stores, monitors)
        await _judge(redis, world, stores, tenant_id)
    await stores.aclose()


async def _has_bitten(redis: Redis, world: World) -> bool:
    """Say whether somebody stalled beyond a lease, held a lock too long, and met lost locks."""
    notes = ("refused", "stale writes", "losses")
    return await redis.exists(*(f"{world.notes}{each}" for each in notes)) == len(notes)


async def _push_time(redis: Redis, world: World) -> None:
    """Push the time of all on to where somebody wants it."""
    wanted = int(await redis.get(f"{world.notes}wanted offset") or 0)
    world.offset_us.value = max(world.offset_us.value, wanted)


async def _lose_locks(redis: Redis, world: World) -> None:
    """Lose all locks, their fences included, as when their node of a cluster was emptied."""
    offset_us = world.offset_us.value
    lost_at = int(await redis.eval(_LOSE, 0, f"{world.namespace}lock:")) + offset_us
    await redis.rpush(f"{world.notes}losses", lost_at)


async def _finish(redis: Redis, world: World, stores: Stores, monitors: list[MonitorId]) -> None:
    """Do what is left; every monitor must be among it."""
    backlog = await stores.schedule.backlog()
    assert backlog.scheduled == len(monitors)
    world.offset_us.value += 10 * INTERVAL // _MICROSECOND  # all leases are over, all are due
    found = []
    while claims := await stores.schedule.claim(request_id=secrets.token_hex(8), limit=100):
        for claimed in claims:
            found.append((claimed.monitor_id, claimed.scheduled_at))
            await stores.schedule.complete(claimed, outcome=outcome_of(claimed), policy=POLICY)
    assert {monitor_id for monitor_id, _ in found} == set(monitors)
    assert len(set(found)) == len(found)  # some are due a second time meanwhile
    while transitions := await stores.outbox.claim(request_id=secrets.token_hex(8), limit=100):
        for each in transitions:
            await hand_over(redis, world, each.transition)
            await stores.outbox.settle(each)
    assert await stores.outbox.backlog() == 0
    for letter in await stores.outbox.dead_letters(limit=1000):
        await hand_over(redis, world, letter.transition)


async def _judge(redis: Redis, world: World, stores: Stores, tenant_id: TenantId) -> None:
    """Read the notes, and find nothing in them that must not be."""

    async def notes(what: str) -> list[Any]:
        return await redis.lrange(f"{world.notes}{what}", 0, -1)

    assert await notes("problems") == []
    completions = [json.loads(each) for each in await notes("completions")]
    holders: dict[tuple[str, int], set[str]] = defaultdict(set)
    for monitor, at, token, _ in completions:
        holders[monitor, at].add(token)
    assert all(len(tokens) == 1 for tokens in holders.values())  # nobody completed it again
    story = [json.loads(each) for each in await notes("story")]
    assert not _begun_too_late(story) & {(monitor, token) for monitor, _, token, _ in completions}

    handed_over = [json.loads(each) for each in await notes("handed over")]
    assert {each for *_, each in completions if each} <= {each for *_, each in handed_over}
    await _judge_transitions(stores, tenant_id, completions, handed_over)
    losses = [int(each) for each in await notes("losses")]
    for number in range(LOCKS):
        _judge_grants(
            losses,
            [json.loads(each) for each in await notes(f"grants:job {number}")],
            set(await notes(f"releases:job {number}")),
            await notes(f"writes:job {number}"),
        )


def _begun_too_late(story: list[Any]) -> set[tuple[str, str]]:
    """Return the claims that were completed after another had claimed the same monitor.

    The story tells of each claim until when it was leased, and of each completion, without that,
    before it was asked for.
    """
    newest: dict[str, int] = defaultdict(int)
    leased: dict[tuple[str, str], int] = {}
    late = set()
    for monitor, token, until in story:
        if until is not None:
            leased[monitor, token] = until
            newest[monitor] = max(newest[monitor], until)
        elif leased[monitor, token] < newest[monitor]:
            late.add((monitor, token))
    return late


async def _judge_transitions(
    stores: Stores, tenant_id: TenantId, completions: list[Any], handed_over: list[Any]
) -> None:
    """Each monitor's transitions alternate, and stand where its outcomes say, each once."""
    facts: dict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
    for monitor, at, kind, transition in handed_over:
        assert facts[monitor].setdefault(at, (kind, transition)) == (kind, transition)
    checks: dict[str, set[int]] = defaultdict(set)
    for monitor, at, *_ in completions:
        checks[monitor].add(at)
    for monitor, found in facts.items():
        down, alert = False, ""
        for at in sorted(checks[monitor] | set(found)):
            success = succeeds(MonitorId(monitor), from_us(at))
            if at not in found:
                assert down is not success  # it stayed as it was
                continue
            kind, transition = found[at]
            before, (alert, _) = alert, transition.rsplit(":", 1)
            assert (kind, success) == (("resolved", True) if down else ("triggered", False))
            assert (alert == before) is down
            down = not down
        state = await stores.alert_state.get(tenant_id, MonitorId(monitor))
        assert (state.open_alert is not None) is down


def _judge_grants(
    losses: list[int], grants: list[Any], released: set[str], writes: list[str]
) -> None:
    """Fences grow, no lease began within one that was not lost, and no older fence wrote late."""
    assert len(grants) > 2
    tokens = {token: fence for fence, token in grants}
    assert len(tokens) == len(grants)
    grants.sort()
    for (fence, token), (following, _) in pairwise(grants):
        # A fence is the time at which it was given, in microseconds.
        assert following > fence
        over = token in released or following - fence >= LOCK_TTL // _MICROSECOND
        # A call that was on its way meanwhile can have had an older time.
        assert over or any(abs(each - fence) < 2 * LEASE // _MICROSECOND for each in losses)
    accepted = [tokens[token] for token in writes]
    assert accepted == sorted(accepted)
