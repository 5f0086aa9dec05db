"""The in-memory `AlertStateCache`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import evolve

from urlmon.domain._validators import check_instant
from urlmon.domain.alert_policy import AlertPolicy
from urlmon.domain.alert_state import UNKNOWN, AlertState
from urlmon.domain.alerting import Decision, DecisionKind, decide
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import AlertId, MonitorId, TenantId, require_owner, require_tenant
from urlmon.domain.owed import last_words, tell_owed
from urlmon.domain.pages import check_many
from urlmon.domain.transitions import TransitionKind
from urlmon.errors import NotFoundError
from urlmon.ports import AlertStateCache
from urlmon.testing.state import InMemoryState


class InMemoryAlertStateCache(AlertStateCache):
    """Keeps alert states in a dictionary."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def record(
        self, tenant_id: TenantId, outcome: CheckOutcome, *, policy: AlertPolicy
    ) -> Decision:
        require_owner(tenant_id, outcome.tenant_id)
        async with self._state.faults.call("AlertStateCache.record"):
            self._state.require_whole("AlertStateCache.record")
            return apply_outcome(self._state, outcome, policy)

    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> AlertState:
        require_tenant(tenant_id)
        async with self._state.faults.call("AlertStateCache.get"):
            return self._read(tenant_id, monitor_id)

    async def get_many(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, AlertState]:
        require_tenant(tenant_id)
        check_many("monitor_ids", monitor_ids)
        async with self._state.faults.call("AlertStateCache.get_many"):
            return {each: self._read(tenant_id, each) for each in monitor_ids}

    async def seed(self, tenant_id: TenantId, monitor_id: MonitorId, *, state: AlertState) -> bool:
        require_tenant(tenant_id)
        async with self._state.faults.call("AlertStateCache.seed"):
            known = self._read(tenant_id, monitor_id)
            if known == UNKNOWN:
                known = state
            elif evolve(known, suppressed_until=None) == UNKNOWN:
                known = evolve(state, suppressed_until=known.suppressed_until)
            self._write(tenant_id, monitor_id, known)
            return known == evolve(state, suppressed_until=known.suppressed_until)

    async def replace(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, known: AlertState, state: AlertState
    ) -> bool:
        require_tenant(tenant_id)
        async with self._state.faults.call("AlertStateCache.replace"):
            self._state.require_whole("AlertStateCache.replace")
            if self._read(tenant_id, monitor_id) == known:
                self._write(tenant_id, monitor_id, state)
            return self._read(tenant_id, monitor_id) == state

    async def suppress(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, until: datetime | None
    ) -> AlertState:
        require_tenant(tenant_id)
        until = None if until is None else check_instant("until", until)
        async with self._state.faults.call("AlertStateCache.suppress"):
            self._state.require_whole("AlertStateCache.suppress")
            state = evolve(self._read(tenant_id, monitor_id), suppressed_until=until)
            if until is not None:
                self._withdraw_reminder(state)
            self._write(tenant_id, monitor_id, state)
            return state

    async def acknowledge(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, alert_id: AlertId
    ) -> AlertState:
        require_tenant(tenant_id)
        operation = "AlertStateCache.acknowledge"
        async with self._state.faults.call(operation):
            self._state.require_whole(operation)
            state = self._read(tenant_id, monitor_id)
            if state.open_alert is None or state.open_alert != alert_id:
                raise NotFoundError("memory", operation, entity="alert", key=str(alert_id))
            self._withdraw_reminder(state)
            state = evolve(state, acknowledged=True)
            self._write(tenant_id, monitor_id, state)
            return state

    async def forget(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        require_tenant(tenant_id)
        async with self._state.faults.call("AlertStateCache.forget"):
            self._state.require_whole("AlertStateCache.forget")
            now, state = self._state.clock.now(), self._read(tenant_id, monitor_id)
            for transition in last_words(state, tenant_id, monitor_id, now=now):
                self._state.outbox.add(transition, now=now)
            self._write(tenant_id, monitor_id, UNKNOWN)

    def _read(self, tenant_id: TenantId, monitor_id: MonitorId) -> AlertState:
        return self._state.alert_states.get((tenant_id, monitor_id), UNKNOWN)

    def _write(self, tenant_id: TenantId, monitor_id: MonitorId, state: AlertState) -> None:
        if state == UNKNOWN:
            self._state.alert_states.pop((tenant_id, monitor_id), None)
        else:
            self._state.alert_states[tenant_id, monitor_id] = state

    def _withdraw_reminder(self, state: AlertState) -> None:
        """Take the reminder out that nobody has claimed yet."""
        if state.open_alert is not None:
            name = _reminder_id(state.open_alert, state.reminders)
            self._state.outbox.withdraw(name, now=self._state.clock.now())


def apply_outcome(state: InMemoryState, outcome: CheckOutcome, policy: AlertPolicy) -> Decision:
    """Record an outcome, and put the transition it makes into the outbox."""
    key = outcome.tenant_id, outcome.monitor_id
    decision = decide(state.alert_states.get(key, UNKNOWN), outcome, policy)
    if decision.kind is DecisionKind.APPLIED:
        state.alert_states[key] = decision.state
        if decision.transition is not None:
            state.outbox.add(decision.transition, now=state.clock.now())
    return decision


def tell_all_owed(state: InMemoryState) -> None:
    """Put into the outbox what is owed to monitors by now though no outcome came."""
    now = state.clock.now()
    owed = [
        (known.owed.at, str(key[0]), str(key[1]), key)
        for key, known in state.alert_states.items()
        if known.owed is not None and known.owed.at <= now
    ]
    for *_, key in sorted(owed):
        known = state.alert_states[key]
        busy = state.outbox.holds(*key, now=now)
        state.alert_states[key], transition = tell_owed(known, *key, now=now, busy=busy)
        if transition is not None:
            state.outbox.add(transition, now=now)


def _reminder_id(alert_id: AlertId, number: int) -> str:
    return f"{alert_id}:{TransitionKind.REMINDER}:{number}"
