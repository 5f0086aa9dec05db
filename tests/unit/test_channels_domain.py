"""Notification channels are valid by construction, and their health follows the deliveries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.channels import (
    ChannelHealth,
    ChannelKind,
    check_new_channel,
    check_secrets,
)
from urlmon.domain.ids import TenantId
from urlmon.domain.secrets import Secret
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_channel
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.texts import HOSTILE_TEXTS, IMPOSSIBLE_TEXTS

TENANT = TenantId.new()
SECOND = timedelta(seconds=1)
DELIVERIES = st.lists(
    st.tuples(st.integers(0, 20), st.none() | st.text("ab", min_size=1, max_size=3)), max_size=30
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 201),
        *(("name", text) for text in IMPOSSIBLE_TEXTS),
        ("name", None),
        ("kind", "webhook"),
        ("kind", "pigeon"),
        ("config", {str(number): "" for number in range(51)}),
        ("config", {"": "x"}),
        ("config", {"k" * 101: "x"}),
        ("config", {"k": "x" * 4097}),
        ("config", {"k": None}),
        ("config", {1: "x"}),
        *(("config", {text: "x"}) for text in IMPOSSIBLE_TEXTS),
        *(("config", {"k": text}) for text in IMPOSSIBLE_TEXTS),
        ("config", (("k", "1"), ("k", "2"))),
        ("config", (("k", "1", "2"),)),
        ("config", ["k"]),
        ("config", [("k", "x")]),
        ("enabled", 1),
        ("health", None),
        ("created_at", datetime(2026, 1, 1)),  # noqa: DTZ001 - what is refused
        ("updated_at", datetime(1999, 12, 31, tzinfo=UTC)),
        ("updated_at", "2026-01-01"),
        ("version", 0),
        ("version", 2**31),
        ("version", True),
        ("version", 1.0),
    ],
)
def test_what_is_no_channel_is_refused(field: str, value: object) -> None:
    """Each field has its limits, and the refusal names it."""
    with pytest.raises(InvalidValueError) as caught:
        a_channel(TENANT, **{field: value})
    assert caught.value.field.partition(" ")[0] == field


def test_at_the_limits() -> None:
    """The limits themselves are permitted, and nothing is changed."""
    config = {f"{number:0100}": "v" * 4096 for number in range(50)}
    channel = a_channel(TENANT, name="x" * 200, config=config, version=2**31 - 1)
    assert dict(channel.config) == config
    assert tuple(config) == tuple(key for key, _ in channel.config)
    for text in HOSTILE_TEXTS:
        assert a_channel(TENANT, name=text, config={text: text}).config == ((text, text),)


def test_instants_are_utc() -> None:
    """Instants are the same whatever zone they were given in."""
    at = NOON.astimezone(timezone(timedelta(hours=9)))
    channel = a_channel(TENANT, created_at=at, updated_at=at)
    health = ChannelHealth().after(at=at, error=None)
    for instant in (channel.created_at, channel.updated_at, health.last_delivery_at):
        assert instant == NOON
        assert instant.tzinfo is UTC


@given(DELIVERIES)
def test_health_counts_deliveries_in_order(deliveries: list[tuple[int, str | None]]) -> None:
    """Health is what the deliveries that came in order make of it; others change nothing."""
    health = ChannelHealth()
    counted: list[tuple[datetime, str | None]] = []
    for offset, error in deliveries:
        at = NOON + offset * SECOND
        after = health.after(at=at, error=error)
        if counted and at <= counted[-1][0]:
            assert after is health
        else:
            counted.append((at, error))
        health = after
        assert health.after(at=at, error=error) is health, "a repeat"
    failures = 0
    for _, error in counted:
        failures = 0 if error is None else failures + 1
    successes = [at for at, error in counted if error is None]
    assert health == ChannelHealth(
        consecutive_failures=failures,
        last_delivery_at=counted[-1][0] if counted else None,
        last_success_at=successes[-1] if successes else None,
        last_error=counted[-1][1] if counted else None,
    )


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "wrong",
    [
        {"at": NOON.replace(tzinfo=None)},
        {"at": None},
        {"at": datetime(2200, 1, 1, tzinfo=UTC)},
        {"error": ""},
        {"error": "x" * 501},
        *({"error": text} for text in IMPOSSIBLE_TEXTS),
    ],
)
def test_what_is_no_delivery_is_refused(wrong: dict[str, Any], *, late: bool) -> None:
    """It is refused whether or not it would be counted."""
    health = ChannelHealth().after(at=NOON + (SECOND if late else -SECOND), error=None)
    with pytest.raises(InvalidValueError):
        health.after(**{"at": NOON, "error": None} | wrong)


def test_failures_are_counted_up_to_a_limit() -> None:
    """A channel that has failed for ever goes on being a channel."""
    health = ChannelHealth(consecutive_failures=2**31 - 1).after(at=NOON, error="x")
    assert health.consecutive_failures == 2**31 - 1


@pytest.mark.parametrize(
    "wrong", [{"consecutive_failures": -1}, {"consecutive_failures": 2**31}, {"last_error": ""}]
)
def test_what_is_no_health_is_refused(wrong: dict[str, Any]) -> None:
    """Health has its limits too."""
    with pytest.raises(InvalidValueError):
        ChannelHealth(**wrong)


def test_an_update_replaces_what_it_may() -> None:
    """Identity, making and health stay with the stored channel; a repeat changes nothing more."""
    stored = a_channel(TENANT, health=ChannelHealth(last_delivery_at=NOON), version=4)
    wanted = a_channel(
        TENANT,
        id=stored.id,
        kind=ChannelKind.SMS,
        config={"to": "+1"},
        enabled=False,
        health=ChannelHealth(consecutive_failures=9),
        created_at=NOON + SECOND,
        updated_at=NOON + SECOND,
        version=4,
    )
    updated = stored.updated(wanted)
    assert updated == evolve(wanted, health=stored.health, created_at=NOON, version=5)
    assert updated.updated(wanted) == updated
    assert stored.updated(evolve(wanted, version=3)) != stored


def test_what_can_be_added() -> None:
    """A new channel is the tenant's own, in its first version, and was never used."""
    check_new_channel(TENANT, a_channel(TENANT))
    for field, tenant_id, channel in (
        ("tenant_id", TenantId.new(), a_channel(TENANT)),
        ("version", TENANT, a_channel(TENANT, version=2)),
        ("health", TENANT, a_channel(TENANT, health=ChannelHealth(last_error="x"))),
    ):
        with pytest.raises(InvalidValueError) as caught:
            check_new_channel(tenant_id, channel)
        assert caught.value.field == field


def test_secrets_of_a_channel() -> None:
    """Up to twenty secrets have names of up to a hundred characters, and are copied."""
    secrets = {f"{number:0100}": Secret("x") for number in range(20)}
    checked = check_secrets(secrets)
    assert checked == secrets
    assert checked is not secrets


@pytest.mark.parametrize(
    "secrets",
    [
        {str(number): Secret("x") for number in range(21)},
        {"": Secret("x")},
        {"n" * 101: Secret("x")},
        {1: Secret("x")},
        *({text: Secret("x")} for text in IMPOSSIBLE_TEXTS),
        {"token": "canary-77"},
        [("token", "canary-77")],
        None,
    ],
)
def test_what_are_no_secrets_is_refused(secrets: object) -> None:
    """It is refused without being repeated."""
    with pytest.raises(InvalidValueError) as caught:
        check_secrets(secrets)
    assert caught.value.field.startswith("secrets")
    assert "canary" not in str(caught.value)
