"""The contract of `TransitionOutbox`."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from urlmon.domain.transitions import MAX_ATTEMPTS, ClaimedTransition, TransitionKind
from urlmon.errors import InvalidValueError, LeaseLostError
from urlmon.testing.clock import NOON
from urlmon.testing.contracts._outbox_claim import ClaimingContract
from urlmon.testing.contracts._outbox_on_the_way import OnTheWayContract
from urlmon.testing.contracts._outbox_owed import OwedContract
from urlmon.testing.contracts._transitions import (
    DAY,
    LEASE,
    MINUTE,
    SECOND,
    Monitor,
    Requests,
    decide_anew,
    exhaust,
    transitions_of,
)
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import WorkingStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS, IMPOSSIBLE_TEXTS


class TransitionOutboxContract(ClaimingContract, OwedContract, OnTheWayContract):
    """What every `TransitionOutbox` must hold."""

    async def test_claim_and_settle(self, working: WorkingStores) -> None:
        """A transition is claimed by one, and after it was settled by nobody."""
        monitor, requests = Monitor(working), Requests(working)
        assert await requests.claim() == ()
        transition = await monitor.change()
        claimed = await requests.one()
        assert (claimed.transition, claimed.attempt) == (transition, 1)
        assert claimed.leased_until.tzinfo is UTC
        assert claimed.token not in repr(claimed)
        assert await requests.claim() == ()
        assert await working.outbox.backlog() == 1
        await working.outbox.settle(claimed)
        await working.advance(DAY)
        assert await requests.claim() == ()
        assert await working.outbox.backlog() == 0

    async def test_settle_late(self, working: WorkingStores) -> None:
        """After its lease has ended a claim may still settle, while nobody has claimed anew."""
        requests = Requests(working)
        await Monitor(working).change()
        claimed = await requests.one()
        await working.advance(LEASE)
        for _ in range(2):
            await working.outbox.settle(claimed)
        assert await requests.claim() == ()
        assert await working.outbox.backlog() == 0
        with pytest.raises(LeaseLostError):
            await working.outbox.release(claimed, delay=SECOND)

    async def test_stolen(self, working: WorkingStores) -> None:
        """A claim that another has replaced may neither settle nor release."""
        requests = Requests(working)
        await Monitor(working).change()
        old = await requests.one()
        await working.advance(LEASE)
        new = await requests.one()
        for _ in range(2):
            for call, operation in (
                (working.outbox.settle(old), "TransitionOutbox.settle"),
                (working.outbox.release(old, delay=SECOND), "TransitionOutbox.release"),
            ):
                error = await refusal_of(call)
                assert isinstance(error, LeaseLostError)
                assert (error.name, error.operation) == (old.transition.id, operation)
            await working.outbox.settle(new)

    async def test_forged(self, working: WorkingStores) -> None:
        """What was never claimed cannot be settled or released by any token."""
        requests, transition = Requests(working), await Monitor(working).change()
        for token in ("", "-", " ", "0", "x y", *HOSTILE_TEXTS):
            forged = ClaimedTransition(
                transition=transition, token=token, attempt=1, leased_until=NOON
            )
            for call in (
                working.outbox.settle(forged),
                working.outbox.release(forged, delay=SECOND),
            ):
                assert isinstance(await refusal_of(call), LeaseLostError)
        assert (await requests.one()).attempt == 1

    async def test_release(self, working: WorkingStores) -> None:
        """What was given back is due after the delay, and the attempt counts."""
        requests = Requests(working)
        await Monitor(working).change()
        claimed = await requests.one()
        for _ in range(2):
            await working.outbox.release(claimed, delay=MINUTE)
            await working.advance(MINUTE / 2 - SECOND)
            assert await requests.claim() == ()
        await working.advance(2 * SECOND)  # the repeat has not put it off any further
        again = await requests.one()
        assert again.attempt == 2
        await working.outbox.release(again, delay=timedelta(0))
        assert (await requests.one()).attempt == 3

    async def test_release_late(self, working: WorkingStores) -> None:
        """After its lease has ended a claim may still be given back, and settled after that."""
        requests = Requests(working)
        await Monitor(working).change()
        claimed = await requests.one()
        await working.advance(LEASE)
        await working.outbox.release(claimed, delay=DAY)
        assert await requests.claim() == ()
        await working.outbox.settle(claimed)
        await working.advance(DAY)
        assert await requests.claim() == ()

    async def test_dead_letter(self, working: WorkingStores) -> None:
        """What was claimed ten times is given up when the tenth lease has ended."""
        requests = Requests(working)
        transition = await Monitor(working).change()
        claimed = await exhaust(working, requests)
        assert await working.outbox.backlog() == 0
        (letter,) = await working.outbox.dead_letters()
        assert (letter.transition, letter.attempts) == (transition, MAX_ATTEMPTS)
        assert letter.at == claimed.leased_until
        assert await requests.claim() == ()
        for call in (
            working.outbox.settle(claimed),
            working.outbox.release(claimed, delay=SECOND),
        ):
            assert isinstance(await refusal_of(call), LeaseLostError)
        assert await working.outbox.dead_letters() == (letter,)

    async def test_dead_letter_by_release(self, working: WorkingStores) -> None:
        """What is given back after its tenth claim is given up at once; a repeat is no error."""
        requests = Requests(working)
        transition = await Monitor(working).change()
        claimed = await requests.one()
        while claimed.attempt < MAX_ATTEMPTS:
            await working.outbox.release(claimed, delay=SECOND)
            await working.advance(SECOND)
            claimed = await requests.one()
        for _ in range(2):
            await working.outbox.release(claimed, delay=SECOND)
        letters = await working.outbox.dead_letters()
        assert [each.transition for each in letters] == [transition]
        assert letters[0].at < claimed.leased_until
        with pytest.raises(LeaseLostError):
            await working.outbox.settle(claimed)
        assert await working.outbox.dead_letters() == letters

    async def test_end_after_a_dead_beginning(self, working: WorkingStores) -> None:
        """After the beginning was given up, the end is handed over."""
        monitor, requests = Monitor(working), Requests(working)
        await monitor.change()
        end = await monitor.change()
        await exhaust(working, requests)
        assert await working.outbox.backlog() == 1
        assert transitions_of(await requests.claim()) == [end]

    async def test_dead_letters_newest_first(self, working: WorkingStores) -> None:
        """Dead letters are listed by when they were given up, the newest first."""
        requests, expected = Requests(working), []
        for _ in range(3):
            expected.append(await Monitor(working).change())
            await exhaust(working, requests)
        for limit in (1, 2, 3, 4):
            letters = await working.outbox.dead_letters(limit=limit)
            assert [each.transition for each in letters] == expected[::-1][:limit]

    async def test_settled_and_decided_anew(self, working: WorkingStores) -> None:
        """A transition that is decided anew, after its state was lost, is handed over again."""
        requests = Requests(working)
        transition = await Monitor(working).change()
        settled = await requests.one()
        await working.outbox.settle(settled)
        await decide_anew(working, transition)
        await working.outbox.settle(settled)  # a repeat, which means the first life
        claimed = await requests.one()
        assert (claimed.transition, claimed.attempt) == (transition, 1)
        await working.outbox.settle(claimed)
        assert await working.outbox.backlog() == 0

    async def test_given_up_and_decided_anew(self, working: WorkingStores) -> None:
        """A dead letter that is decided anew is none any more."""
        requests = Requests(working)
        transition = await Monitor(working).change()
        await exhaust(working, requests)
        await decide_anew(working, transition)
        assert await working.outbox.dead_letters() == ()
        claimed = await requests.one()
        assert (claimed.transition, claimed.attempt) == (transition, 1)

    async def test_claimed_and_decided_anew(self, working: WorkingStores) -> None:
        """A transition that is decided anew while it is here stays as it is."""
        requests = Requests(working)
        transition = await Monitor(working).change()
        await working.outbox.release(await requests.one(), delay=timedelta(0))
        claimed = await requests.one()
        await decide_anew(working, transition)
        assert await requests.claim() == ()
        await working.advance(LEASE)
        await decide_anew(working, transition)
        assert (await requests.one()).attempt == claimed.attempt + 1

    async def test_end_claimed_and_beginning_decided_anew(self, working: WorkingStores) -> None:
        """What happens to the beginning does not take the end from who has claimed it."""
        monitor, requests = Monitor(working), Requests(working)
        transition = await monitor.change()
        await working.outbox.settle(await requests.one())
        await monitor.change()
        end = await requests.one()
        await decide_anew(working, transition)
        assert await requests.claim() == ()
        await working.outbox.settle(end)
        assert transitions_of(await requests.claim()) == [transition]

    async def test_beginning_decided_anew(self, working: WorkingStores) -> None:
        """When the beginning is decided again, the end that waits is none any more."""
        monitor, requests = Monitor(working), Requests(working)
        transition = await monitor.change()
        await working.outbox.settle(await requests.one())
        await monitor.change()
        await decide_anew(working, transition)
        claimed = await requests.one()
        assert claimed.transition == transition
        await working.outbox.settle(claimed)
        assert await requests.claim() == ()
        await working.alert_state.forget(transition.tenant_id, transition.monitor_id)
        end = (await requests.one()).transition
        assert (end.kind, end.alert_id) == (TransitionKind.RESOLVED, transition.alert_id)

    async def test_arguments(self, working: WorkingStores) -> None:
        """Arguments at their limits are taken, those beyond are refused by name."""
        outbox = working.outbox
        await Monitor(working).change()
        millisecond, microsecond = timedelta(milliseconds=1), timedelta(microseconds=1)
        for lease in (10 * millisecond, DAY):
            (claimed,) = await outbox.claim(request_id=f"{lease}"[:100], limit=1, lease=lease)
            await outbox.release(claimed, delay=timedelta(0))
        await outbox.claim(request_id="x" * 100, limit=100)
        assert await outbox.dead_letters(limit=1_000) == ()
        refused = [
            *(("request_id", outbox.claim(request_id=t)) for t in ("", "x" * 101)),
            *(("request_id", outbox.claim(request_id=t)) for t in IMPOSSIBLE_TEXTS),
            *(("limit", outbox.claim(request_id="r", limit=n)) for n in (0, -1, 101)),
            *(
                ("lease", outbox.claim(request_id="r", lease=lease))
                for lease in (9 * millisecond, DAY + millisecond, SECOND + microsecond)
            ),
            *(
                ("delay", outbox.release(claimed, delay=delay))
                for delay in (-millisecond, DAY + millisecond, microsecond)
            ),
            *(("limit", outbox.dead_letters(limit=n)) for n in (0, 1_001)),
        ]
        for name, call in refused:
            error = await refusal_of(call)
            assert isinstance(error, InvalidValueError)
            assert error.field == name
