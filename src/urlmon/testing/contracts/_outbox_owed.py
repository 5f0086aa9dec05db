"""What every `TransitionOutbox` must hand over although no outcome comes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Final

from attrs import evolve

from urlmon.domain.alert_policy import AlertPolicy, FlapMarks
from urlmon.domain.alert_state import AlertState, MonitorStatus
from urlmon.domain.ids import AlertId
from urlmon.domain.restoring import restored
from urlmon.domain.transitions import ClaimedTransition, TransitionKind
from urlmon.testing.builders import an_alert
from urlmon.testing.clock import NOON
from urlmon.testing.contracts._alert_states import LATEST, Monitor
from urlmon.testing.contracts._transitions import (
    LEASE,
    MINUTE,
    Requests,
    exhaust,
    transitions_of,
)
from urlmon.testing.contracts.stores import WorkingStores

HOUR: Final = timedelta(hours=1)
REMINDING: Final = AlertPolicy(failure_threshold=1, reminder_interval=HOUR)


class Reminded:
    """A monitor that is down, of which reminders are made, and whose trigger was settled."""

    def __init__(self, working: WorkingStores) -> None:
        self.monitor, self.requests = Monitor(working), Requests(working)
        self._working = working

    @classmethod
    async def down(cls, working: WorkingStores) -> Reminded:
        reminded = cls(working)
        await reminded.record(0, success=False)
        await working.outbox.settle(await reminded.requests.one())
        return reminded

    async def record(self, minute: int, *, success: bool) -> AlertState:
        outcome = self.monitor.outcome(minute, success=success)
        return (await self.monitor.record(outcome, REMINDING)).state

    async def alert_id(self) -> AlertId:
        alert_id = (await self._working.alert_state.get(*self.monitor.key)).open_alert
        assert alert_id is not None
        return alert_id

    async def reminder(self) -> ClaimedTransition:
        """Let one interval pass, and claim."""
        await self._working.advance(HOUR + MINUTE)
        claimed = await self.requests.one()
        assert claimed.transition.kind is TransitionKind.REMINDER
        return claimed


class OwedContract:
    """What every `TransitionOutbox` must hand over although no outcome comes."""

    async def test_reminders(self, working: WorkingStores) -> None:
        """One for each period, with a stable id, however many ask."""
        reminded = await Reminded.down(working)
        alert_id = await reminded.alert_id()
        for number in (1, 2, 3):
            await working.advance(HOUR - MINUTE)
            assert await reminded.requests.claim() == ()
            await working.advance(2 * MINUTE)
            claims = await asyncio.gather(
                *(working.outbox.claim(request_id=f"{number} {each}") for each in range(8))
            )
            (claimed,) = [each for claim in claims for each in claim]
            transition = claimed.transition
            assert transition.id == f"{alert_id}:reminder:{number}"
            assert (transition.kind, transition.number) == (TransitionKind.REMINDER, number)
            assert (transition.rule, transition.location) == ("availability", None)
            assert (transition.tenant_id, transition.monitor_id) == reminded.monitor.key
            await working.outbox.settle(claimed)
        assert await working.outbox.backlog() == 0
        resolved = (await reminded.record(1, success=True)).last_transition
        assert resolved is not None
        assert resolved.number == 3
        assert transitions_of(await reminded.requests.claim()) == [resolved]
        await working.advance(3 * HOUR)
        assert transitions_of(await reminded.requests.claim()) == [resolved]

    async def test_repeated_claim_of_a_reminder(self, working: WorkingStores) -> None:
        """The request that made a reminder gets it again, and makes no other."""
        reminded = await Reminded.down(working)
        await working.advance(HOUR + MINUTE)
        again = partial(working.outbox.claim, request_id="again", lease=3 * HOUR)
        first = await again()
        assert [each.transition.number for each in first] == [1]
        await working.advance(HOUR + MINUTE)
        assert await again() == first
        assert await reminded.requests.claim() == ()

    async def test_reminders_wait_for_the_trigger(self, working: WorkingStores) -> None:
        """While the trigger is not settled none is made, and then one period later."""
        reminded = Reminded(working)
        state = await reminded.record(0, success=False)
        for attempt in (1, 2, 3):
            claimed = await reminded.requests.one()
            assert (claimed.transition, claimed.attempt) == (state.last_transition, attempt)
            await working.advance(HOUR + MINUTE)
        await working.outbox.settle(await reminded.requests.one())
        await working.advance(HOUR - MINUTE)
        assert await reminded.requests.claim() == ()
        assert (await reminded.reminder()).transition.number == 1

    async def test_reminders_wait_for_each_other(self, working: WorkingStores) -> None:
        """While a reminder is not settled there is no other, and no number is left out."""
        reminded = await Reminded.down(working)
        first = await reminded.reminder()
        for attempt in (2, 3):
            again = await reminded.reminder()
            assert (again.transition, again.attempt) == (first.transition, attempt)
        await working.outbox.settle(again)
        assert (await reminded.reminder()).transition.number == 2

    async def test_reminder_after_a_dead_trigger(self, working: WorkingStores) -> None:
        """After the trigger was given up, the alert is still reminded of."""
        reminded = Reminded(working)
        await reminded.record(0, success=False)
        await exhaust(working, reminded.requests)
        assert (await reminded.reminder()).transition.number == 1

    async def test_end_before_an_unclaimed_reminder(self, working: WorkingStores) -> None:
        """A resolve takes the reminder out that nobody has, due or put off."""
        for delay in (timedelta(0), HOUR):
            reminded = await Reminded.down(working)
            await working.outbox.release(await reminded.reminder(), delay=delay)
            end = (await reminded.record(1, success=True)).last_transition
            claimed = await reminded.requests.one()
            assert claimed.transition == end
            await working.outbox.settle(claimed)
            assert await working.outbox.backlog() == 0

    async def test_end_waits_for_a_claimed_reminder(self, working: WorkingStores) -> None:
        """A resolve comes after the reminder that somebody hands over just now."""
        reminded = await Reminded.down(working)
        claimed = await reminded.reminder()
        end = (await reminded.record(1, success=True)).last_transition
        assert await reminded.requests.claim() == ()
        await working.outbox.settle(claimed)
        assert transitions_of(await reminded.requests.claim()) == [end]

    async def test_end_after_a_crash(self, working: WorkingStores) -> None:
        """A reminder whose claimer died is not handed over after the end, nor holds it up."""
        reminded = await Reminded.down(working)
        claimed = await reminded.reminder()
        end = (await reminded.record(1, success=True)).last_transition
        await working.advance(LEASE)
        assert transitions_of(await reminded.requests.claim()) == [end]
        await working.outbox.settle(claimed)
        assert await working.outbox.backlog() == 1

    async def test_end_after_a_released_reminder(self, working: WorkingStores) -> None:
        """A reminder that is given back after the end is not put off, but dropped."""
        reminded = await Reminded.down(working)
        claimed = await reminded.reminder()
        end = (await reminded.record(1, success=True)).last_transition
        await working.outbox.release(claimed, delay=HOUR)
        assert transitions_of(await reminded.requests.claim()) == [end]

    async def test_no_reminder_of_what_was_taken_on(self, working: WorkingStores) -> None:
        """Acknowledging ends reminders, also one that nobody has, but not the resolve."""
        reminded = await Reminded.down(working)
        await working.outbox.release(await reminded.reminder(), delay=timedelta(0))
        alert_id = await reminded.alert_id()
        await working.alert_state.acknowledge(*reminded.monitor.key, alert_id=alert_id)
        await reminded.record(1, success=False)
        await working.advance(9 * HOUR)
        assert await reminded.requests.claim() == ()
        end = (await reminded.record(2, success=True)).last_transition
        assert transitions_of(await reminded.requests.claim()) == [end]

    async def test_no_reminder_under_a_suppression(self, working: WorkingStores) -> None:
        """A suppression holds reminders back, also one that nobody has; then they go on."""
        reminded = await Reminded.down(working)
        await working.outbox.release(await reminded.reminder(), delay=timedelta(0))
        await working.alert_state.suppress(*reminded.monitor.key, until=LATEST)
        await working.advance(9 * HOUR)
        assert await reminded.requests.claim() == ()
        await working.alert_state.suppress(*reminded.monitor.key, until=None)
        assert (await reminded.requests.one()).transition.number == 2

    async def test_no_reminder_of_what_is_forgotten(self, working: WorkingStores) -> None:
        """A forgotten alert ends, and is not reminded of."""
        reminded = await Reminded.down(working)
        alert_id = await reminded.alert_id()
        for _ in range(2):
            await working.alert_state.forget(*reminded.monitor.key)
        end = await reminded.requests.one()
        assert (end.transition.kind, end.transition.alert_id) == (TransitionKind.RESOLVED, alert_id)
        await working.outbox.settle(end)
        await working.advance(9 * HOUR)
        assert await reminded.requests.claim() == ()

    async def test_reminders_of_a_seeded_alert(self, working: WorkingStores) -> None:
        """After a loss, reminders of an open alert go on by the state that is seeded."""
        monitor, requests = Monitor(working), Requests(working)
        alert = evolve(an_alert(*monitor.key), opened_at=NOON, notification_count=3)
        await working.alert_state.seed(*monitor.key, state=restored(REMINDING, alert, []))
        await working.advance(3 * HOUR)
        claimed = await requests.one()
        assert claimed.transition.id == f"{alert.id}:reminder:3"
        assert claimed.transition.cause == alert.cause

    async def test_end_of_a_seeded_alert(self, working: WorkingStores) -> None:
        """After a loss, the end of an alert that was handed over is handed over too."""
        monitor, requests = Monitor(working), Requests(working)
        alert = an_alert(*monitor.key, opened_at=NOON)
        state = restored(REMINDING, alert, [monitor.outcome(-1)])
        assert await working.alert_state.seed(*monitor.key, state=state)
        end = (await monitor.succeed(1)).transition
        assert end is not None
        assert end.id == f"{alert.id}:resolved"
        assert (await requests.one()).transition == end

    async def test_end_that_a_loss_hid(self, working: WorkingStores) -> None:
        """An alert that had ended when its state was seeded ends without another outcome."""
        monitor, requests = Monitor(working), Requests(working)
        alert = an_alert(*monitor.key, opened_at=NOON)
        state = restored(REMINDING, alert, [monitor.outcome(1, success=True)])
        assert await working.alert_state.seed(*monitor.key, state=state)
        claimed = await requests.one()
        assert claimed.transition.id == f"{alert.id}:resolved"
        after = await working.alert_state.get(*monitor.key)
        assert (after.status, after.open_alert) == (MonitorStatus.UP, None)
        await working.outbox.settle(claimed)
        assert await requests.claim() == ()

    async def test_trigger_at_the_end_of_a_suppression(self, working: WorkingStores) -> None:
        """What was held is handed over without another outcome, once, if it is still true."""
        requests, until = Requests(working), NOON + HOUR
        monitor, recovered = Monitor(working), Monitor(working)
        for each in (monitor, recovered):
            await working.alert_state.suppress(*each.key, until=until)
            held = (await each.fail(0, cause="dns: x")).state.held_alert
        await recovered.succeed(1)
        held = (await monitor.fail(1, cause="tls: y")).state.held_alert
        await working.advance(HOUR)
        claimed = await requests.one()
        transition = claimed.transition
        assert (transition.kind, transition.alert_id) == (TransitionKind.TRIGGERED, held)
        assert (transition.cause, transition.location) == ("tls: y", None)
        assert (await working.alert_state.get(*monitor.key)).open_alert == held
        assert (await monitor.fail(2)).transition is None
        end = (await monitor.succeed(3)).transition
        assert end is not None
        assert end.alert_id == held
        assert await requests.claim() == ()
        await working.outbox.settle(claimed)
        assert transitions_of(await requests.claim()) == [end]

    async def test_a_suppression_that_ends_early(self, working: WorkingStores) -> None:
        """What it held back is handed over at once; nothing is while it lasts."""
        monitor, requests = Monitor(working), Requests(working)
        await working.alert_state.suppress(*monitor.key, until=LATEST)
        await monitor.fail(0)
        assert await requests.claim() == ()
        for _ in range(2):
            await working.alert_state.suppress(*monitor.key, until=None)
        assert (await requests.one()).transition.kind is TransitionKind.TRIGGERED

    async def test_flapping(self, working: WorkingStores) -> None:
        """Its end is handed over after its beginning, and then what it held back."""
        monitor, requests = Monitor(working), Requests(working)
        policy = AlertPolicy(failure_threshold=1, flapping=FlapMarks())
        made = []
        for minute in range(23):
            outcome = monitor.outcome(minute, success=minute % 2 == 1 and minute < 7)
            made.append((await monitor.record(outcome, policy)).transition)
        told = [each.id for each in made if each is not None]
        assert [each.rpartition(":")[2][0] for each in told] == list("trtrtrfs")
        handed_over = []
        while claims := await requests.claim():
            for claimed in claims:
                handed_over.append(claimed.transition.id)
                await working.outbox.settle(claimed)
        alert_id = (await working.alert_state.get(*monitor.key)).open_alert
        owed = f"{alert_id}:triggered"
        assert owed not in told
        assert sorted(handed_over) == sorted([*told, owed])
        for begin, end in zip(told[::2], told[1::2], strict=True):
            assert handed_over.index(begin) < handed_over.index(end)
