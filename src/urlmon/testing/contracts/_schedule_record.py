"""What every `Schedule.complete` with an outcome must hold."""

from __future__ import annotations

import pytest
from attrs import evolve

from urlmon.domain.alerting import UNKNOWN, AlertPolicy, DecisionKind, TransitionKind
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.scheduling import ClaimedCheck
from urlmon.errors import InvalidValueError, LeaseLostError
from urlmon.testing.builders import an_outcome
from urlmon.testing.contracts._checks import HOUR, LEASE, SECOND, Requests, Scheduled
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import WorkingStores

POLICY = AlertPolicy(failure_threshold=2)


def outcome_of(claimed: ClaimedCheck, *, success: bool = False) -> CheckOutcome:
    """Make the outcome of a check that was claimed."""
    return an_outcome(
        claimed.tenant_id,
        claimed.monitor_id,
        scheduled_at=claimed.scheduled_at,
        success=success,
        cause=None if success else "status: 500",
    )


class RecordingChecksContract:
    """What every `Schedule.complete` with an outcome must hold."""

    async def test_record(self, working: WorkingStores) -> None:
        """Completing with an outcome decides as recording it does, transitions included."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        kinds = []
        for success in (False, False, True):
            await working.advance(HOUR)
            claimed = await requests.one()
            outcome = outcome_of(claimed, success=success)
            decision = await working.schedule.complete(claimed, outcome=outcome, policy=POLICY)
            assert decision is not None
            assert decision.kind is DecisionKind.APPLIED
            assert await working.alert_state.get(*monitor.key) == decision.state
            kinds.append(decision.transition and decision.transition.kind)
            again = await working.schedule.complete(claimed, outcome=outcome, policy=POLICY)
            assert again == evolve(decision, kind=DecisionKind.DUPLICATE)
            recorded = await working.alert_state.record(claimed.tenant_id, outcome, policy=POLICY)
            assert recorded == again
            assert await requests.none()
        assert kinds == [None, TransitionKind.TRIGGERED, TransitionKind.RESOLVED]
        assert await working.outbox.backlog() == 2
        (triggered,) = await working.outbox.claim(request_id="r")
        assert triggered.transition.kind is TransitionKind.TRIGGERED
        assert triggered.transition.cause == "status: 500"

    async def test_record_of_the_lost(self, working: WorkingStores) -> None:
        """Who has lost the claim records nothing, however that was lost."""
        monitor, requests = await Scheduled.hourly(working), Requests(working)
        policy = AlertPolicy(failure_threshold=1)
        await working.advance(HOUR)
        stolen = await requests.one()
        await working.advance(LEASE)
        released = await requests.one()
        await working.schedule.release(released, delay=SECOND)
        await working.advance(SECOND)
        removed = await requests.one()
        await working.schedule.remove(*monitor.key)
        for claimed in (stolen, released, removed, evolve(removed, token=stolen.token)):
            for _ in range(2):
                error = await refusal_of(
                    working.schedule.complete(claimed, outcome=outcome_of(claimed), policy=policy)
                )
                assert isinstance(error, LeaseLostError)
                assert error.operation == "Schedule.complete"
        assert await working.alert_state.get(*monitor.key) == UNKNOWN
        assert await working.outbox.backlog() == 0

    async def test_record_of_another_check(self, working: WorkingStores) -> None:
        """An outcome of another check is refused, and so is one without its policy."""
        await Scheduled.hourly(working)
        await working.advance(HOUR)
        claimed = await Requests(working).one()
        own = outcome_of(claimed)
        for wrong in (
            evolve(own, tenant_id=TenantId.new()),
            evolve(own, monitor_id=MonitorId.new()),
            evolve(own, scheduled_at=own.scheduled_at + SECOND),
        ):
            with pytest.raises(InvalidValueError, match="outcome"):
                await working.schedule.complete(claimed, outcome=wrong, policy=POLICY)
        with pytest.raises(InvalidValueError, match="policy"):
            await working.schedule.complete(claimed, outcome=own)
        with pytest.raises(InvalidValueError, match="policy"):
            await working.schedule.complete(claimed, policy=POLICY)
        assert await working.schedule.renew([claimed], lease=LEASE) == (claimed,)
