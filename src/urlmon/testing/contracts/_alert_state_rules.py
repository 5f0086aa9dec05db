"""What every `AlertStateCache` must decide."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from urlmon.domain.alert_policy import AlertPolicy, FlapMarks
from urlmon.domain.alert_state import UNKNOWN, AlertState, MonitorStatus
from urlmon.domain.alerting import Decision, DecisionKind, decide
from urlmon.domain.ids import AlertId
from urlmon.domain.transitions import TransitionKind
from urlmon.testing.clock import NOON
from urlmon.testing.contracts._alert_states import (
    MICROSECOND,
    MINUTE,
    Monitor,
    some_outcomes,
    some_state,
)
from urlmon.testing.contracts.stores import WorkingStores


class RulesContract:
    """What every `AlertStateCache` must decide."""

    async def test_nothing_known(self, working: WorkingStores) -> None:
        """A monitor that nothing is known of is unknown, never up."""
        monitor = Monitor(working)
        assert await working.alert_state.get(*monitor.key) == UNKNOWN
        assert await working.alert_state.get_many(monitor.tenant_id, [monitor.id]) == {
            monitor.id: UNKNOWN
        }
        assert UNKNOWN.status is MonitorStatus.UNKNOWN

    @pytest.mark.parametrize("seed", range(10))
    async def test_rules(self, working: WorkingStores, seed: int) -> None:
        """Every answer is the one that the rules of the domain give."""
        monitor, state = Monitor(working), UNKNOWN
        for step, (outcome, policy) in enumerate(some_outcomes(monitor, seed)):
            if step % 13 == 12:
                until = outcome.scheduled_at + 2 * MINUTE if step % 2 else None
                await working.alert_state.suppress(*monitor.key, until=until)
                state = evolve(state, suppressed_until=until)
            expected = decide(state, outcome, policy)
            assert await monitor.record(outcome, policy) == expected
            state = expected.state
            assert await working.alert_state.get(*monitor.key) == state

    async def test_thresholds(self, working: WorkingStores) -> None:
        """An alert begins with the failure that reaches the threshold, and ends likewise."""
        monitor = Monitor(working)
        policy = AlertPolicy(failure_threshold=20, recovery_threshold=20)
        for minute in range(60):
            decision = await monitor.record(
                monitor.outcome(minute, success=20 <= minute < 40), policy
            )
            kind = decision.transition and decision.transition.kind
            assert kind == {19: TransitionKind.TRIGGERED, 39: TransitionKind.RESOLVED}.get(
                minute, TransitionKind.TRIGGERED if minute == 59 else None
            )

    async def test_quorum(self, working: WorkingStores) -> None:
        """A monitor is down while so many locations are failing, in whatever order they report."""
        monitor, two = Monitor(working), AlertPolicy(failure_threshold=1, quorum=2)
        statuses = []
        for location, minute, success in (
            ("a", 9, False),
            ("b", 3, False),
            ("c", 1, True),
            ("a", 10, True),
        ):
            outcome = monitor.outcome(minute, success=success, location=location)
            statuses.append((await monitor.record(outcome, two)).state.status.value)
        assert statuses == ["unknown", "down", "down", "up"]

    @pytest.mark.parametrize("percent", [9, 10, 11])
    async def test_marks(self, working: WorkingStores, percent: int) -> None:
        """Flapping begins and ends at the very marks: here the changes are 10 percent."""
        begin, end = Monitor(working), Monitor(working)
        flapping = AlertState(
            status=MonitorStatus.FLAPPING, flapping=AlertId.new(), changes=1 << 17 | 1
        )
        for monitor, success, state, marks in (
            (begin, False, AlertState(status=MonitorStatus.UP, changes=1 << 18), (0, percent)),
            (end, True, flapping, (percent, 100)),
        ):
            low, high = marks
            policy = AlertPolicy(failure_threshold=1, flapping=FlapMarks(low=low, high=high))
            await working.alert_state.seed(*monitor.key, state=state)
            outcome = monitor.outcome(0, success=success)
            decision = await monitor.record(outcome, policy)
            assert decision == decide(state, outcome, policy)
            told = decision.transition and decision.transition.kind
            if success:
                assert (told is TransitionKind.STABLE) is (percent >= 10)
            else:
                assert (told is TransitionKind.FLAPPING) is (percent <= 10)

    async def test_foreign_location(self, working: WorkingStores) -> None:
        """A location that the policy does not name is not counted, nor is what it saw before."""
        monitor, policy = Monitor(working), AlertPolicy(failure_threshold=1, locations=("a", "b"))
        state = (await monitor.record(monitor.outcome(0, location="b"), policy)).state
        for minute in (0, 1):
            foreign = await monitor.record(monitor.outcome(minute, location="c"), policy)
            assert foreign == Decision(kind=DecisionKind.FOREIGN, state=state)
            assert await working.alert_state.get(*monitor.key) == state
        only_a = evolve(policy, locations=("a",))
        gone = await monitor.record(monitor.outcome(0, location="a", success=True), only_a)
        assert gone.transition is not None
        assert gone.transition.kind is TransitionKind.RESOLVED
        assert [each.location for each in gone.state.locations] == ["a"]

    async def test_policy_versions(self, working: WorkingStores) -> None:
        """The newest policy that was ever applied is applied, whatever older one is given."""
        monitor, new = Monitor(working), AlertPolicy(failure_threshold=3, version=2)
        await monitor.record(monitor.outcome(0), new)
        for minute, version in ((1, 1), (2, 0)):
            older = AlertPolicy(failure_threshold=1, version=version)
            decision = await monitor.record(monitor.outcome(minute), older)
            assert decision.kind is DecisionKind.APPLIED
            assert decision.state.policy == new
            assert (decision.transition is not None) is (minute == 2)

    async def test_repeat(self, working: WorkingStores) -> None:
        """A repeat is a duplicate that names the same transition, and adds none to the outbox."""
        monitor = Monitor(working)
        first = await monitor.fail(0)
        for _ in range(3):
            repeat = await monitor.fail(0)
            assert repeat == evolve(first, kind=DecisionKind.DUPLICATE)
        assert first.transition is not None
        assert await working.outbox.backlog() == 1
        second = await monitor.fail(1)
        assert await monitor.fail(1) == evolve(second, kind=DecisionKind.DUPLICATE)
        assert second.transition is None
        assert (await monitor.fail(1, location="b")).kind is DecisionKind.APPLIED

    async def test_stale(self, working: WorkingStores) -> None:
        """What is older than the newest outcome of its location changes nothing."""
        monitor = Monitor(working)
        state = (await monitor.fail(5)).state
        late = await monitor.record(
            monitor.outcome(5, success=True, scheduled_at=NOON + 5 * MINUTE - MICROSECOND)
        )
        assert late == Decision(kind=DecisionKind.STALE, state=state)
        assert await working.alert_state.get(*monitor.key) == state

    async def test_outbox(self, working: WorkingStores) -> None:
        """A transition is in the outbox when the answer names it."""
        monitor = Monitor(working)
        for minute, outcome in enumerate((monitor.fail, monitor.succeed, monitor.fail)):
            decision = await outcome(minute)
            claimed = await working.outbox.claim(request_id=str(minute))
            assert [each.transition for each in claimed] == [decision.transition]
            await working.outbox.settle(claimed[0])

    async def test_suppression(self, working: WorkingStores) -> None:
        """While suppressed nothing is triggered; what is still down afterwards is, at once."""
        monitor, until = Monitor(working), NOON + 3 * MINUTE
        state = await working.alert_state.suppress(*monitor.key, until=until)
        assert state == AlertState(suppressed_until=until)
        assert await working.alert_state.suppress(*monitor.key, until=until) == state
        for minute in range(3):
            decision = await monitor.fail(minute)
            assert (decision.state.status, decision.transition) == (MonitorStatus.DOWN, None)
        decision = await monitor.fail(3)
        assert decision.transition is not None
        assert decision.transition.at == until
        await working.alert_state.suppress(*monitor.key, until=NOON + 9 * MINUTE)
        resolved = (await monitor.succeed(4)).transition
        assert resolved is not None
        assert resolved.kind is TransitionKind.RESOLVED
        assert (await monitor.fail(5)).transition is None
        state = await working.alert_state.suppress(*monitor.key, until=None)
        assert state.suppressed_until is None
        triggered = (await monitor.fail(6)).transition
        assert triggered is not None
        assert (triggered.at, triggered.location) == (NOON + 6 * MINUTE, "default")

    async def test_suppression_of_the_unknown(self, working: WorkingStores) -> None:
        """A suppression that was ended leaves nothing behind."""
        monitor = Monitor(working)
        for until in (None, NOON, None):
            state = await working.alert_state.suppress(*monitor.key, until=until)
            assert state == AlertState(suppressed_until=until)
            assert await working.alert_state.get(*monitor.key) == state
        assert await working.alert_state.seed(*monitor.key, state=some_state(monitor))

    async def test_suppression_before_a_seed(self, working: WorkingStores) -> None:
        """A suppression does not keep a seed out, nor does the seed end it."""
        monitor, until = Monitor(working), NOON + 3 * MINUTE
        await working.alert_state.suppress(*monitor.key, until=until)
        state = evolve(some_state(monitor), suppressed_until=None)
        for _ in range(2):
            assert await working.alert_state.seed(*monitor.key, state=state)
            assert await working.alert_state.get(*monitor.key) == evolve(
                state, suppressed_until=until
            )
        assert not await working.alert_state.seed(*monitor.key, state=UNKNOWN)
        await working.alert_state.suppress(*monitor.key, until=None)
        assert await working.alert_state.get(*monitor.key) == state
        assert await working.alert_state.seed(*monitor.key, state=state)

    async def test_many_at_once(self, working: WorkingStores) -> None:
        """Of many that record the same outcome, one applies it and all name its transition."""
        monitor = Monitor(working)
        decisions = await asyncio.gather(*(monitor.fail(0) for _ in range(20)))
        kinds = sorted(each.kind for each in decisions)
        assert kinds == [DecisionKind.APPLIED] + [DecisionKind.DUPLICATE] * 19
        assert len({each.transition for each in decisions}) == 1
        assert await working.outbox.backlog() == 1
        places = [f"place-{number}" for number in range(20)]
        await asyncio.gather(*(monitor.fail(1, location=each) for each in places))
        state = await working.alert_state.get(*monitor.key)
        assert [each.location for each in state.locations] == sorted([*places, "default"])
        assert all(each.failures for each in state.locations)
