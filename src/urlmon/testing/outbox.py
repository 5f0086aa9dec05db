"""The in-memory `TransitionOutbox`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.pages import check_many, check_page_size
from urlmon.domain.transitions import ClaimedTransition, DeadLetter, check_claim, check_delay
from urlmon.errors import LeaseLostError
from urlmon.ports import TransitionOutbox
from urlmon.testing.alert_state import tell_all_owed
from urlmon.testing.state import InMemoryState


class InMemoryTransitionOutbox(TransitionOutbox):
    """Hands over the transitions that an `InMemoryAlertStateCache` of the same state made."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def claim(
        self, *, request_id: str, limit: int = 10, lease: timedelta = timedelta(seconds=30)
    ) -> tuple[ClaimedTransition, ...]:
        check_claim(request_id, limit, lease)
        async with self._state.faults.call("TransitionOutbox.claim"):
            tell_all_owed(self._state)
            return self._state.outbox.claim(
                request_id,
                secrets.token_hex(16),
                now=self._state.clock.now(),
                limit=limit,
                lease=lease,
            )

    async def settle(self, claimed: ClaimedTransition) -> None:
        name = claimed.transition.id
        async with self._state.faults.call("TransitionOutbox.settle"):
            now = self._state.clock.now()
            if not self._state.outbox.settle(name, claimed.token, now=now):
                raise LeaseLostError("memory", "TransitionOutbox.settle", name=name)

    async def release(self, claimed: ClaimedTransition, *, delay: timedelta) -> None:
        check_delay(delay)
        name = claimed.transition.id
        async with self._state.faults.call("TransitionOutbox.release"):
            now = self._state.clock.now()
            if not self._state.outbox.release(name, claimed.token, now=now, due=now + delay):
                raise LeaseLostError("memory", "TransitionOutbox.release", name=name)

    async def backlog(self) -> int:
        async with self._state.faults.call("TransitionOutbox.backlog"):
            return self._state.outbox.backlog(now=self._state.clock.now())

    async def on_the_way(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> frozenset[MonitorId]:
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        async with self._state.faults.call("TransitionOutbox.on_the_way"):
            now, outbox = self._state.clock.now(), self._state.outbox
            return frozenset(each for each in monitor_ids if outbox.holds(tenant_id, each, now=now))

    async def dead_letters(self, *, limit: int = 100) -> tuple[DeadLetter, ...]:
        check_page_size(limit)
        async with self._state.faults.call("TransitionOutbox.dead_letters"):
            letters = self._state.outbox.dead_letters(now=self._state.clock.now())
            return tuple(letters[:limit])
