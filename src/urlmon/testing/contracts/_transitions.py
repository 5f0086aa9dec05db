"""What the contracts of the outbox share."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from urlmon.domain.alerting import AlertPolicy, Transition
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.transitions import MAX_ATTEMPTS, ClaimedTransition
from urlmon.testing.builders import an_outcome
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.stores import WorkingStores

LEASE: Final = timedelta(seconds=30)
SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(hours=24)


class Monitor:
    """A monitor that goes down and comes back on demand."""

    def __init__(self, working: WorkingStores) -> None:
        self._cache = working.alert_state
        self.key = TenantId.new(), MonitorId.new()
        self._minute = 0

    async def change(self) -> Transition:
        """Make the next transition: a trigger, then its resolve, then the next trigger."""
        outcome = an_outcome(
            *self.key, scheduled_at=NOON + self._minute * MINUTE, success=self._minute % 2 == 1
        )
        self._minute += 1
        policy = AlertPolicy(failure_threshold=1)
        decision = await self._cache.record(self.key[0], outcome, policy=policy)
        assert decision.transition is not None
        return decision.transition


class Requests:
    """Claims with a new request id each."""

    def __init__(self, working: WorkingStores) -> None:
        self._outbox = working.outbox
        self._number = 0

    async def claim(self, limit: int = 100) -> tuple[ClaimedTransition, ...]:
        self._number += 1
        return await self._outbox.claim(request_id=f"r{self._number}", limit=limit, lease=LEASE)

    async def one(self) -> ClaimedTransition:
        """Claim the only transition that is due."""
        (claimed,) = await self.claim()
        return claimed


def transitions_of(claimed: tuple[ClaimedTransition, ...]) -> list[Transition]:
    return [each.transition for each in claimed]


async def exhaust(working: WorkingStores, requests: Requests) -> ClaimedTransition:
    """Claim the only transition as often as may be, and let each lease end."""
    claims = []
    for _ in range(MAX_ATTEMPTS):
        claims.append(await requests.one())
        await working.advance(LEASE)
    assert [claimed.attempt for claimed in claims] == list(range(1, MAX_ATTEMPTS + 1))
    return claims[-1]


async def decide_anew(working: WorkingStores, transition: Transition) -> None:
    """Forget a monitor, and record the outcome again that triggered its alert."""
    key = transition.tenant_id, transition.monitor_id
    await working.alert_state.forget(*key)
    outcome = an_outcome(*key, scheduled_at=transition.at)
    policy = AlertPolicy(failure_threshold=1)
    decision = await working.alert_state.record(key[0], outcome, policy=policy)
    assert decision.transition == transition
