"""The contract of `AlertStateCache`: a state that contradicts the record is replaced."""

from __future__ import annotations

import asyncio

from urlmon.domain.alert_state import UNKNOWN, AlertState, MonitorStatus
from urlmon.domain.ids import AlertId
from urlmon.domain.transitions import TransitionKind
from urlmon.testing.clock import NOON
from urlmon.testing.contracts._alert_states import ONE, Monitor, some_state
from urlmon.testing.contracts.stores import WorkingStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS

UP = AlertState(status=MonitorStatus.UP, since=NOON)


class ReplacingContract:
    """What every `AlertStateCache` must hold where a state is put in the place of another."""

    async def test_replace(self, working: WorkingStores) -> None:
        """A state takes the place of the one that was read, whatever is in them; also of none."""
        replace = working.alert_state.replace
        for cause in HOSTILE_TEXTS:
            monitor = Monitor(working)
            state = some_state(monitor, cause)
            for known, given in ((UNKNOWN, state), (state, UP), (UP, UNKNOWN)):
                for _ in range(2):
                    assert await replace(*monitor.key, known=known, state=given)
                    assert await working.alert_state.get(*monitor.key) == given
        assert await working.outbox.backlog() == 0

    async def test_replace_what_has_changed(self, working: WorkingStores) -> None:
        """What has changed since it was read stays as it is."""
        monitor = Monitor(working)
        known = (await monitor.fail(0)).state
        state = (await monitor.fail(1)).state
        for wrong in (known, UNKNOWN):
            assert not await working.alert_state.replace(*monitor.key, known=wrong, state=UP)
            assert await working.alert_state.get(*monitor.key) == state
        assert await working.alert_state.replace(*monitor.key, known=state, state=UP)

    async def test_replace_whatever_came_first(self, working: WorkingStores) -> None:
        """A state is the same in whatever order its locations reported."""
        monitor = Monitor(working)
        for minute, location in enumerate("bcab"):
            await monitor.succeed(minute, location=location)
        known = await working.alert_state.get(*monitor.key)
        assert await working.alert_state.replace(*monitor.key, known=known, state=UP)
        await working.alert_state.replace(*monitor.key, known=UP, state=known)
        await monitor.succeed(5, location="a")
        state = await working.alert_state.get(*monitor.key)
        assert await working.alert_state.replace(*monitor.key, known=UP, state=state)

    async def test_what_was_replaced_goes_on(self, working: WorkingStores) -> None:
        """The end of an alert that the given state has is owed, and of the other one nothing is."""
        monitor, alert_id = Monitor(working), AlertId.new()
        known = (await monitor.fail(0)).state
        (begin,) = await working.outbox.claim(request_id="begin")
        await working.outbox.settle(begin)
        state = AlertState(status=MonitorStatus.UP, since=NOON, open_alert=alert_id, policy=ONE)
        assert await working.alert_state.replace(*monitor.key, known=known, state=state)
        assert await working.outbox.backlog() == 0
        (end,) = await working.outbox.claim(request_id="end")
        assert (end.transition.kind, end.transition.alert_id) == (
            TransitionKind.RESOLVED,
            alert_id,
        )
        await working.outbox.settle(end)
        known = await working.alert_state.get(*monitor.key)
        await working.alert_state.replace(*monitor.key, known=known, state=state)
        await working.alert_state.replace(*monitor.key, known=state, state=UP)
        assert await working.outbox.claim(request_id="nothing") == ()

    async def test_replacing_at_once(self, working: WorkingStores) -> None:
        """Of many that replace the same state exactly one does."""
        monitor = Monitor(working)
        known = (await monitor.succeed(0)).state
        states = [AlertState(status=MonitorStatus.UP, cause=f"{each}") for each in range(20)]
        done = await asyncio.gather(
            *(
                working.alert_state.replace(*monitor.key, known=known, state=state)
                for state in states
            )
        )
        assert sum(done) == 1
        assert await working.alert_state.get(*monitor.key) == states[done.index(True)]
