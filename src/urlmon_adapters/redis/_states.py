"""How alert states and transitions are written in Redis: `scripts/alert.lua` and `outbox.lua` say.

Instants are whole microseconds since 1970.  A hyphen stands for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeVar

from urlmon.domain.alert_policy import AlertPolicy, FlapMarks
from urlmon.domain.alert_state import UNKNOWN, AlertState, LocationState, MonitorStatus
from urlmon.domain.alerting import Decision, DecisionKind, episode_of
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.domain.transitions import Transition, TransitionKind
from urlmon_adapters.redis._commands import Argument, Reply
from urlmon_adapters.redis._keys import Keys, bucket_of
from urlmon_adapters.redis._replies import items, text

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NOTHING: Final = "-"
# Policies come with every outcome, and the newest transition with every state: as often the same.
_REMEMBERED: Final = 4_096
_T = TypeVar("_T")


def to_us(instant: datetime) -> int:
    """Return an instant in microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def from_us(microseconds: str | int) -> datetime:
    """Return the instant of so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=int(microseconds))


def name_of(tenant_id: TenantId, monitor_id: MonitorId) -> str:
    """Return how the scripts name a monitor."""
    return f"{tenant_id}:{monitor_id}"


def encode_state(state: AlertState) -> str:
    """Write a state."""
    head = (
        state.status,
        int(state.down),
        _instant(state.since),
        state.changes,
        state.flapping or _NOTHING,
        state.open_alert or _NOTHING,
        int(state.acknowledged),
        state.reminders,
        _instant(state.notified_at),
        state.held_alert or _NOTHING,
        _instant(state.suppressed_until),
    )
    places = (
        f"{each.location} {to_us(each.watermark)} {each.failures} {each.successes} {each.failing:d}"
        for each in state.locations
    )
    policy, last = state.policy, state.last_transition
    return "\0".join(
        (
            " ".join(map(str, head)),
            "" if policy is None else _encode_policy(policy),
            ",".join(places),
            "" if last is None else _encode_transition(last),
            state.cause,
        )
    )


def decode_state(row: str) -> AlertState:
    """Read a state; nothing is the unknown one."""
    if not row:
        return UNKNOWN
    head, policy, places, last, cause = row.split("\0")
    status, down, since, changes, flapping, opened, acknowledged, *rest = head.split(" ")
    reminders, notified, held, suppressed = rest
    locations = map(_decode_location, places.split(",") if places else ())
    return AlertState(
        status=MonitorStatus(status),
        down=down == "1",
        since=_optional(since, from_us),
        locations=tuple(sorted(locations, key=lambda each: each.location)),
        changes=int(changes),
        flapping=_optional(flapping, AlertId),
        open_alert=_optional(opened, AlertId),
        acknowledged=acknowledged == "1",
        reminders=int(reminders),
        notified_at=_optional(notified, from_us),
        held_alert=_optional(held, AlertId),
        suppressed_until=_optional(suppressed, from_us),
        policy=_decode_policy(policy) if policy else None,
        cause=cause,
        last_transition=decode_transition(last) if last else None,
    )


@lru_cache(_REMEMBERED)
def decode_transition(item: str) -> Transition:
    """Read a transition."""
    name, alert_id, kind, number, rule, at, location, cause = item.split(" ", 7)
    tenant_id, _, monitor_id = name.partition(":")
    return Transition(
        tenant_id=TenantId(tenant_id),
        monitor_id=MonitorId(monitor_id),
        alert_id=AlertId(alert_id),
        kind=TransitionKind(kind),
        number=int(number),
        rule=rule,
        at=from_us(at),
        location=_optional(location, str),
        cause=cause,
    )


def recording(
    keys: Keys, outcome: CheckOutcome, policy: AlertPolicy
) -> tuple[tuple[str, ...], tuple[Argument, ...]]:
    """Return what the script `alert_record` takes for an outcome: keys and arguments."""
    bucket = bucket_of(outcome.monitor_id)
    return (*keys.outbox(bucket), *keys.alerts(bucket)), (
        name_of(outcome.tenant_id, outcome.monitor_id),
        to_us(outcome.scheduled_at),
        int(outcome.success),
        outcome.location,
        # The script cannot make ids: here is the one that it would need.
        str(episode_of(outcome, policy)),
        _encode_policy(policy),
        outcome.cause or "",
    )


def read_decision(reply: Reply) -> Decision:
    """Read the answer of the script `alert_record`."""
    kind, transition, state = map(text, items(reply))
    return Decision(
        kind=DecisionKind(kind),
        state=decode_state(state),
        transition=decode_transition(transition) if transition else None,
    )


def _encode_transition(transition: Transition) -> str:
    fields = (
        name_of(transition.tenant_id, transition.monitor_id),
        transition.alert_id,
        transition.kind,
        transition.number,
        transition.rule,
        to_us(transition.at),
        transition.location or _NOTHING,
        transition.cause,
    )
    return " ".join(map(str, fields))


@lru_cache(_REMEMBERED)
def _encode_policy(policy: AlertPolicy) -> str:
    marks, interval = policy.flapping, policy.reminder_interval
    fields = (
        policy.version,
        policy.failure_threshold,
        policy.recovery_threshold,
        policy.quorum,
        policy.needed,
        _NOTHING if marks is None else marks.low,
        _NOTHING if marks is None else marks.high,
        _NOTHING if interval is None else interval // _MICROSECOND,
        policy.rule,
        # Commas at both ends, so that a name is found with those around it.
        _NOTHING if policy.locations is None else f",{','.join(policy.locations)},",
    )
    return " ".join(map(str, fields))


@lru_cache(_REMEMBERED)
def _decode_policy(row: str) -> AlertPolicy:
    version, failures, recoveries, quorum, _, low, high, interval, rule, names = row.split(" ")
    return AlertPolicy(
        failure_threshold=int(failures),
        recovery_threshold=int(recoveries),
        quorum=int(quorum),
        rule=rule,
        locations=None if names == _NOTHING else tuple(names.strip(",").split(",")),
        flapping=None if low == _NOTHING else FlapMarks(low=int(low), high=int(high)),
        reminder_interval=_optional(interval, lambda value: timedelta(microseconds=int(value))),
        version=int(version),
    )


def _decode_location(row: str) -> LocationState:
    name, watermark, failures, successes, failing = row.split(" ")
    return LocationState(
        location=name,
        watermark=from_us(watermark),
        failures=int(failures),
        successes=int(successes),
        failing=failing == "1",
    )


def _instant(value: datetime | None) -> int | str:
    return _NOTHING if value is None else to_us(value)


def _optional(value: str, read: Callable[[str], _T]) -> _T | None:
    return None if value == _NOTHING else read(value)
