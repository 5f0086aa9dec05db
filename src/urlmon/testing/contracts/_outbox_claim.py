"""What every `TransitionOutbox.claim` must hold."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from urlmon.domain.alerting import Transition
from urlmon.testing.contracts._transitions import (
    LEASE,
    MINUTE,
    SECOND,
    Monitor,
    Requests,
    transitions_of,
)
from urlmon.testing.contracts.stores import WorkingStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS


class ClaimingContract:
    """What every `TransitionOutbox.claim` must hold."""

    async def test_order(self, working: WorkingStores) -> None:
        """Of one monitor each comes after the one before it was settled."""
        monitor, requests = Monitor(working), Requests(working)
        made = [await monitor.change() for _ in range(4)]
        assert await working.outbox.backlog() == 4
        for transition in made:
            claimed = await requests.one()
            assert claimed.transition == transition
            assert await requests.claim() == ()
            await working.advance(LEASE)
            again = await requests.one()
            assert (again.transition, again.attempt) == (transition, 2)
            await working.outbox.settle(again)
        assert await working.outbox.backlog() == 0

    async def test_order_after_a_delay(self, working: WorkingStores) -> None:
        """What was put off holds up what comes after it, of its monitor and of no other."""
        monitor, other, requests = Monitor(working), Monitor(working), Requests(working)
        first = await monitor.change()
        await working.outbox.release(await requests.one(), delay=MINUTE)
        second, another = await monitor.change(), await other.change()
        assert transitions_of(await requests.claim()) == [another]
        await working.advance(MINUTE)
        claims = {each.transition.id: each for each in await requests.claim()}
        assert set(claims) == {first.id, another.id}
        await working.outbox.settle(claims[first.id])
        assert transitions_of(await requests.claim()) == [second]

    async def test_limit(self, working: WorkingStores) -> None:
        """A claim gives as many as asked for, and all are given in the end, each once."""
        monitors, requests = [Monitor(working) for _ in range(40)], Requests(working)
        made = [await monitor.change() for monitor in monitors]
        given: list[Transition] = []
        for expected in (1, 2, 30, 7):
            claimed = await requests.claim(limit=30 if expected > 2 else expected)
            assert len(claimed) == expected
            given += transitions_of(claimed)
        assert sorted(given, key=lambda each: each.id) == sorted(made, key=lambda each: each.id)
        assert len(await working.outbox.claim(request_id="by default")) == 0
        await working.advance(LEASE)
        assert len(await working.outbox.claim(request_id="by default")) == 10

    async def test_repeated_claim(self, working: WorkingStores) -> None:
        """The same request gets the same again, less what was settled since, and no others."""
        monitors, requests = [Monitor(working) for _ in range(20)], Requests(working)
        for monitor in monitors:
            await monitor.change()
        again = partial(working.outbox.claim, request_id="again", limit=7, lease=LEASE)
        first = await again()
        assert len(first) == 7
        assert await again() == first
        assert await again(limit=100) == first
        await working.advance(LEASE - SECOND)
        assert await again() == first
        await working.outbox.settle(first[3])
        await working.outbox.release(first[5], delay=timedelta(0))
        rest = tuple(first[each] for each in (0, 1, 2, 4, 6))
        assert await again() == rest
        assert len(await requests.claim()) == 14
        assert await again() == rest
        await working.advance(SECOND)
        anew = await again()
        assert {each.attempt for each in anew} == {2}
        assert len(anew) == 5

    async def test_repeated_claim_of_nothing(self, working: WorkingStores) -> None:
        """A request that got nothing gets nothing, for as long as its lease would last."""
        again = partial(working.outbox.claim, request_id="again", limit=7, lease=LEASE)
        assert await again() == ()
        transition = await Monitor(working).change()
        assert await again() == ()
        await working.advance(LEASE)
        assert transitions_of(await again()) == [transition]

    async def test_lease(self, working: WorkingStores) -> None:
        """When a lease has ended the transition is due again, by another token."""
        requests = Requests(working)
        await Monitor(working).change()
        first = await requests.one()
        await working.advance(LEASE - SECOND)
        assert await requests.claim() == ()
        await working.advance(SECOND)
        second = await requests.one()
        assert second.transition == first.transition
        assert second.attempt == 2
        assert second.token != first.token
        assert second.leased_until >= first.leased_until + LEASE

    async def test_at_once(self, working: WorkingStores) -> None:
        """Of many that claim at once, each gets its own."""
        made = {(await Monitor(working).change()).id for _ in range(30)}
        claims = await asyncio.gather(
            *(working.outbox.claim(request_id=f"{each}", limit=4) for each in range(10))
        )
        given = [each.transition.id for claimed in claims for each in claimed]
        assert sorted(given) == sorted(made)
        claimed = claims[0][0]
        await asyncio.gather(*(working.outbox.settle(claimed) for _ in range(5)))
        assert await working.outbox.backlog() == 29

    async def test_one_request_at_once(self, working: WorkingStores) -> None:
        """The same request sent many times at once claims once."""
        for _ in range(10):
            await Monitor(working).change()
        claims = await asyncio.gather(
            *(working.outbox.claim(request_id="same", limit=4) for _ in range(10))
        )
        assert len(set(claims)) == 1
        assert len(claims[0]) == 4

    async def test_request_ids(self, working: WorkingStores) -> None:
        """Request ids are text of any kind, and differ however alike they look."""
        ids = [*HOSTILE_TEXTS, "a", "A", "a:b", "a%3Ab", "{a}", "a b", "a\nb", "\U0001f525" * 100]
        for _ in ids:
            await Monitor(working).change()
        claims = [await working.outbox.claim(request_id=each, limit=1) for each in ids]
        assert len({claimed.transition.id for (claimed,) in claims}) == len(ids)
        assert claims == [await working.outbox.claim(request_id=each, limit=1) for each in ids]
