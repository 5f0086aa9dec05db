"""What the contracts of alert state share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from urlmon.domain.alert_policy import AlertPolicy, FlapMarks
from urlmon.domain.alert_state import AlertState, LocationState, MonitorStatus
from urlmon.domain.alerting import Decision
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.domain.transitions import Transition, TransitionKind
from urlmon.testing.builders import an_outcome
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.stores import WorkingStores

ONE: Final = AlertPolicy(failure_threshold=1)
MINUTE: Final = timedelta(minutes=1)
MICROSECOND: Final = timedelta(microseconds=1)
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC) - MICROSECOND


class Monitor:
    """One monitor of one tenant, and outcomes of it."""

    def __init__(self, working: WorkingStores) -> None:
        self.tenant_id, self.id = TenantId.new(), MonitorId.new()
        self.key = self.tenant_id, self.id
        self._cache = working.alert_state

    def outcome(self, minute: int, **fields: object) -> CheckOutcome:
        fields = {"scheduled_at": NOON + minute * MINUTE} | fields
        return an_outcome(self.tenant_id, self.id, **fields)

    async def record(self, outcome: CheckOutcome, policy: AlertPolicy = ONE) -> Decision:
        return await self._cache.record(self.tenant_id, outcome, policy=policy)

    async def fail(self, minute: int, **fields: object) -> Decision:
        return await self.record(self.outcome(minute, **fields))

    async def succeed(self, minute: int, **fields: object) -> Decision:
        return await self.fail(minute, success=True, **fields)


def some_state(monitor: Monitor, cause: str = "status: 500") -> AlertState:
    """Make a state with a value in every field that can have one beside the others."""
    alert_id = AlertId.new()
    return AlertState(
        status=MonitorStatus.FLAPPING,
        down=True,
        since=NOON + MICROSECOND,
        locations=(
            LocationState(location="a", watermark=EARLIEST, failures=20, failing=True),
            LocationState(location="b.c_d-e", watermark=LATEST, successes=3),
        ),
        changes=2**20 - 2,
        flapping=AlertId.new(),
        open_alert=alert_id,
        acknowledged=True,
        reminders=2**31 - 1,
        notified_at=EARLIEST,
        held_alert=AlertId.new(),
        suppressed_until=LATEST,
        policy=AlertPolicy(
            failure_threshold=20,
            recovery_threshold=19,
            quorum=18,
            rule="latency-p95",
            locations=("z", "b.c_d-e", "a"),
            flapping=FlapMarks(low=0, high=100),
            reminder_interval=timedelta(days=30),
            version=2**31 - 1,
        ),
        cause=cause,
        last_transition=Transition(
            tenant_id=monitor.tenant_id,
            monitor_id=monitor.id,
            alert_id=alert_id,
            kind=TransitionKind.RESOLVED,
            number=2**31 - 1,
            rule="latency-p95",
            at=NOON + MICROSECOND,
            location="a",
            cause=cause,
        ),
    )


def some_outcomes(monitor: Monitor, seed: int) -> list[tuple[CheckOutcome, AlertPolicy]]:
    """Make outcomes that come twice, late and from several places, each under some policy."""
    random = Random(seed)  # noqa: S311 - not a secret
    policies = [
        AlertPolicy(
            failure_threshold=random.randrange(1, 4),
            recovery_threshold=random.randrange(1, 4),
            quorum=random.randrange(1, 4),
            rule=random.choice(["availability", "latency"]),
            locations=random.choice([None, ("b", "a"), ("a", "b", "c")]),
            flapping=random.choice([None, FlapMarks(), FlapMarks(low=5, high=10)]),
            version=version // 2,
        )
        for version in range(6)
    ]
    return [
        (
            monitor.outcome(
                step // 3 + random.randrange(-3, 3),
                success=random.random() < 0.5,
                location=random.choice("abc"),
                cause=random.choice([None, "", "dns: x", '"\\\n']),
            ),
            policies[min(step // 20 + random.randrange(2), 5)],
        )
        for step in range(120)
    ]
