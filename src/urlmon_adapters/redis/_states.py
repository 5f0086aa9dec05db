"""How alert states and transitions are written in Redis.

A state is a hash of text.  A field is there only while it has a value other than the default, so
that the unknown state is no key at all.  Instants are whole microseconds since 1970.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from urlmon.domain.alerting import (
    AlertPolicy,
    AlertState,
    Decision,
    DecisionKind,
    LocationState,
    MonitorStatus,
    Transition,
    TransitionKind,
)
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon_adapters.redis._commands import Argument, Reply
from urlmon_adapters.redis._keys import Keys, bucket_of
from urlmon_adapters.redis._replies import items, text

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_us(instant: datetime) -> int:
    """Return an instant in microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def from_us(microseconds: str | int) -> datetime:
    """Return the instant of so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=int(microseconds))


def encode_state(state: AlertState) -> Iterator[str]:
    """Return the fields and values of a state, in turn."""
    last = state.last_transition
    fields = {
        "status": "" if state.status is MonitorStatus.UNKNOWN else state.status,
        "since": "" if state.since is None else str(to_us(state.since)),
        "open_alert": "" if state.open_alert is None else str(state.open_alert),
        "acknowledged": "1" if state.acknowledged else "",
        "suppressed_until": ""
        if state.suppressed_until is None
        else str(to_us(state.suppressed_until)),
        "cause": state.cause,
        "last": "" if last is None else encode_transition(last),
    }
    for each in state.locations:
        counts = f"{each.failures} {each.successes} {each.failing:d}"
        fields[f"@{each.location}"] = f"{to_us(each.watermark)} {counts}"
    for field, value in fields.items():
        if value:
            yield from (field, value)


def decode_state(reply: Reply) -> AlertState:
    """Read a state from the fields and values of its hash, in turn."""
    texts = [text(each) for each in items(reply)]
    fields = dict(zip(texts[::2], texts[1::2], strict=True))
    locations = [
        _decode_location(name.removeprefix("@"), value)
        for name, value in sorted(fields.items())
        if name.startswith("@")
    ]
    return AlertState(
        status=MonitorStatus(fields.get("status", MonitorStatus.UNKNOWN)),
        since=from_us(fields["since"]) if "since" in fields else None,
        locations=tuple(locations),
        open_alert=AlertId(fields["open_alert"]) if "open_alert" in fields else None,
        acknowledged="acknowledged" in fields,
        suppressed_until=from_us(fields["suppressed_until"])
        if "suppressed_until" in fields
        else None,
        cause=fields.get("cause", ""),
        last_transition=decode_transition(fields["last"]) if "last" in fields else None,
    )


def _decode_location(name: str, value: str) -> LocationState:
    watermark, failures, successes, failing = value.split(" ")
    return LocationState(
        location=name,
        watermark=from_us(watermark),
        failures=int(failures),
        successes=int(successes),
        failing=failing == "1",
    )


def recording(
    keys: Keys, outcome: CheckOutcome, policy: AlertPolicy
) -> tuple[tuple[str, ...], tuple[Argument, ...]]:
    """Return what the script `alert_record` takes for an outcome: keys and arguments."""
    key = outcome.tenant_id, outcome.monitor_id
    # The script cannot make ids: here is the one that an alert would have.
    alert_id = AlertId.derive(outcome.scheduled_at, *key, policy.rule, outcome.location)
    return (*keys.outbox(bucket_of(outcome.monitor_id)), keys.alert_state(*key)), (
        to_us(outcome.scheduled_at),
        int(outcome.success),
        outcome.cause or "",
        outcome.location,
        policy.failure_threshold,
        policy.recovery_threshold,
        policy.quorum,
        policy.rule,
        str(alert_id),
        *map(str, key),
    )


def read_decision(reply: Reply) -> Decision:
    """Read the answer of the script `alert_record`."""
    kind, transition, state = items(reply)
    return Decision(
        kind=DecisionKind(text(kind)),
        state=decode_state(state),
        transition=decode_transition(text(transition)) if transition else None,
    )


def encode_transition(transition: Transition) -> str:
    """Write a transition as the scripts do."""
    return json.dumps(
        {
            "tenant_id": str(transition.tenant_id),
            "monitor_id": str(transition.monitor_id),
            "alert_id": str(transition.alert_id),
            "kind": transition.kind,
            "rule": transition.rule,
            "at": str(to_us(transition.at)),
            "location": transition.location,
            "cause": transition.cause,
        }
    )


def decode_transition(value: str) -> Transition:
    """Read a transition."""
    fields = json.loads(value)
    return Transition(
        tenant_id=TenantId(fields["tenant_id"]),
        monitor_id=MonitorId(fields["monitor_id"]),
        alert_id=AlertId(fields["alert_id"]),
        kind=TransitionKind(fields["kind"]),
        rule=fields["rule"],
        at=from_us(fields["at"]),
        location=fields["location"],
        cause=fields["cause"],
    )
