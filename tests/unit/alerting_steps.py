"""Steps that the tests of alerting take."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from urlmon.domain.alert_policy import AlertPolicy
from urlmon.domain.alert_state import UNKNOWN, AlertState, MonitorStatus
from urlmon.domain.alerting import Decision, DecisionKind, decide
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.testing.builders import an_outcome
from urlmon.testing.clock import NOON

TENANT, MONITOR = TenantId.new(), MonitorId.new()
MINUTE: Final = timedelta(minutes=1)
DOWN: Final = MonitorStatus.DOWN
ONE: Final = AlertPolicy(failure_threshold=1)


def at(minute: float) -> datetime:
    """Return an instant some minutes after noon."""
    return NOON + minute * MINUTE


def outcome(minute: float, *, success: bool, location: str = "eu", **fields: object) -> Any:
    """Make an outcome that was due some minutes after noon."""
    return an_outcome(
        TENANT, MONITOR, scheduled_at=at(minute), success=success, location=location, **fields
    )


def run(
    pattern: str, policy: AlertPolicy, *, state: AlertState = UNKNOWN, start: int = 0
) -> list[Decision]:
    """Apply outcomes of one location, a minute apart: `+` succeeded, `-` failed."""
    decisions = []
    for minute, sign in enumerate(pattern, start):
        decision = decide(state, outcome(minute, success=sign == "+"), policy)
        assert decision.kind is DecisionKind.APPLIED
        decisions.append(decision)
        state = decision.state
    return decisions


def kinds(decisions: list[Decision]) -> str:
    """Write what became of each outcome, by the first letter of what was told: T, R, F, S."""
    return "".join(d.transition.kind[0].upper() if d.transition else "." for d in decisions)
