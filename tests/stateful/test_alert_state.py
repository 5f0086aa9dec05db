"""Random programs on alert states: the fake and the real adapter give the same answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.fixtures.twins import Twins, WorkingProgram, run_program

from urlmon.domain.alert_policy import AlertPolicy, FlapMarks
from urlmon.domain.alert_state import UNKNOWN, AlertState
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.testing.builders import an_outcome
from urlmon.testing.clock import NOON

TENANTS: Final = [TenantId.new() for _ in range(2)]
MONITORS: Final = [MonitorId.new() for _ in range(2)]
KEYS: Final = st.tuples(st.sampled_from(TENANTS), st.sampled_from(MONITORS))
INSTANTS: Final = st.integers(0, 15).map(lambda minute: NOON + timedelta(minutes=minute))
TEXTS: Final = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=20)
THRESHOLDS: Final = st.integers(1, 3)
POLICIES: Final = st.builds(
    AlertPolicy,
    failure_threshold=THRESHOLDS,
    recovery_threshold=THRESHOLDS,
    quorum=THRESHOLDS,
    rule=st.sampled_from(["availability", "latency"]),
    locations=st.none() | st.sampled_from([("a", "b"), ("c.d-e_f", "a"), ("b",)]),
    flapping=st.sampled_from([None, None, FlapMarks(), FlapMarks(low=4, high=5)]),
    reminder_interval=st.sampled_from([None, timedelta(days=30)]),
    version=st.integers(0, 3),
)


class AlertStates(WorkingProgram):
    """Everything that can be done to alert states, to two monitors of two tenants each."""

    def __init__(self, twins: Twins) -> None:
        super().__init__(twins)
        self.seen: list[AlertState] = [UNKNOWN]

    @rule(
        key=KEYS,
        at=INSTANTS,
        success=st.booleans(),
        cause=st.none() | TEXTS,
        location=st.sampled_from(["a", "b", "c.d-e_f"]),
        policy=POLICIES,
    )
    def record(self, key: tuple[TenantId, MonitorId], at: object, **fields: object) -> None:
        """Record an outcome: early, late, or twice."""
        policy = fields.pop("policy")
        assert isinstance(policy, AlertPolicy)
        outcome = an_outcome(*key, scheduled_at=at, **fields)
        decision = self.twins.same(
            lambda stores: stores.alert_state.record(key[0], outcome, policy=policy)
        )
        if decision is not None:  # what was lost is repaired
            self.seen.append(decision.state)

    @rule(key=KEYS, until=st.none() | INSTANTS)
    def suppress(self, key: tuple[TenantId, MonitorId], until: object) -> None:
        """Begin or end a suppression."""
        self.twins.same(lambda stores: stores.alert_state.suppress(*key, until=until))

    @rule(key=KEYS, number=st.integers(0))
    def seed(self, key: tuple[TenantId, MonitorId], number: int) -> None:
        """Seed a state that was seen before, of whatever monitor."""
        state = self.seen[number % len(self.seen)]
        self.twins.same(lambda stores: stores.alert_state.seed(*key, state=state))

    @rule(key=KEYS, known=st.none() | st.integers(0), number=st.integers(0))
    def replace(self, key: tuple[TenantId, MonitorId], known: int | None, number: int) -> None:
        """Replace the state as it is, or as some monitor's was."""
        state = self.seen[number % len(self.seen)]
        before = (
            self.twins.same(lambda stores: stores.alert_state.get(*key))
            if known is None
            else self.seen[known % len(self.seen)]
        )
        assert before is not None
        self.twins.same(lambda stores: stores.alert_state.replace(*key, known=before, state=state))

    @precondition(lambda self: any(state.open_alert for state in self.seen))
    @rule(key=KEYS, number=st.integers(0))
    def acknowledge(self, key: tuple[TenantId, MonitorId], number: int) -> None:
        """Acknowledge an alert that is or was open somewhere, or none that ever was."""
        alerts = [state.open_alert for state in self.seen if state.open_alert] + [AlertId.new()]
        alert_id = alerts[-1 - number % len(alerts)]
        self.twins.same(lambda stores: stores.alert_state.acknowledge(*key, alert_id=alert_id))

    @rule(key=KEYS)
    def forget(self, key: tuple[TenantId, MonitorId]) -> None:
        """Forget a monitor."""
        self.twins.same(lambda stores: stores.alert_state.forget(*key))

    @rule(tenant_id=st.sampled_from(TENANTS))
    def read(self, tenant_id: TenantId) -> None:
        """Read all states of a tenant, and how many transitions there are."""
        self.twins.same(lambda stores: stores.outbox.backlog())
        self.twins.same(lambda stores: stores.alert_state.get_many(tenant_id, MONITORS))
        self.twins.same(lambda stores: stores.alert_state.get(tenant_id, MONITORS[0]))


def test_alert_states(redis_url: str) -> None:
    """Whatever is done to alert states, the fake and Redis answer alike at every step."""
    run_program(AlertStates, redis_url)
