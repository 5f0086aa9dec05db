"""Typed identifiers."""

from __future__ import annotations

import copy
import pickle
import time
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.ids import (
    AlertId,
    ChannelId,
    Id,
    MonitorId,
    TenantId,
    _uuid7_int,
    require_owner,
    require_tenant,
)
from urlmon.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = [AlertId, ChannelId, MonitorId, TenantId]
NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


def test_layout_of_the_standard() -> None:
    """The example of RFC 9562, appendix A.6, comes out bit by bit."""
    number = _uuid7_int(0x017F22E279B0, 0xCC3 << 62 | 0x18C4DC0C0C07398F)
    assert uuid.UUID(int=number) == uuid.UUID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_layout(milliseconds: int, randomness: int) -> None:
    """Version, variant, time and every random bit stand in their places."""
    made = uuid.UUID(int=_uuid7_int(milliseconds, randomness))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == milliseconds
    assert (made.int >> 64 & 0xFFF) << 62 | made.int & 2**62 - 1 == randomness


@pytest.mark.parametrize("kind", KINDS)
def test_new(kind: type[Id]) -> None:
    """A new id has its kind, is of version 7, bears the present millisecond and is its own."""
    before = time.time_ns() // 1_000_000
    made = [kind.new() for _ in range(100)]
    after = time.time_ns() // 1_000_000
    assert len(set(made)) == 100
    for each in made:
        assert type(each) is kind
        assert each.version == 7
        assert before <= each.int >> 80 <= after


@given(INSTANTS)
def test_derived_ids_bear_their_instant(at: datetime) -> None:
    """The millisecond is cut, never rounded, whatever a float would make of it."""
    derived = AlertId.derive(at, "x")
    exact = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert derived.int >> 80 == exact
    assert (derived.version, derived.variant) == (7, uuid.RFC_4122)


def test_derived_ids_are_the_same_everywhere() -> None:
    """The same instant and parts give one id, and this one for good."""
    parts = (TenantId(uuid.UUID(int=1)), "rule")
    derived = AlertId.derive(NOON, *parts)
    assert derived == AlertId.derive(NOON.astimezone(timezone(timedelta(hours=9))), *parts)
    assert derived == AlertId("019ecb27-2200-7b8e-ba75-87a4aca65531")


@pytest.mark.parametrize(
    "other",
    [
        (NOON + timedelta(microseconds=1), "a", "b"),
        (NOON + timedelta(days=1), "a", "b"),
        (NOON, "a", "c"),
        (NOON, "b", "a"),
        (NOON, "ab", ""),
        (NOON, "a\x1fb"),
        (NOON, "a', 'b"),
        (NOON, "a", "b", ""),
        (NOON, "a", "b\ud800"),
    ],
)
def test_derived_ids_differ(other: tuple[Any, ...]) -> None:
    """Another instant, even in the same millisecond, or other parts give another id."""
    assert AlertId.derive(*other) != AlertId.derive(NOON, "a", "b")


def test_derived_ids_need_an_instant() -> None:
    """A naive datetime means something else on each machine, and is refused."""
    with pytest.raises(InvalidValueError, match="time zone"):
        AlertId.derive(NOON.replace(tzinfo=None))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["", "x", "0" * 31, None, 7, b"0" * 16, ["a"], uuid])
def test_malformed(kind: type[Id], value: Any) -> None:
    """What is no UUID is refused by the name of the id."""
    with pytest.raises(InvalidValueError, match=kind.__name__):
        kind(value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [uuid.UUID(int=0), str(uuid.UUID(int=0))])
def test_nil(kind: type[Id], value: str | uuid.UUID) -> None:
    """The nil UUID identifies nothing."""
    with pytest.raises(InvalidValueError, match="nil"):
        kind(value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda made: pickle.loads(pickle.dumps(made)),  # noqa: S301 - our own bytes
    ],
)
def test_copies(kind: type[Id], duplicate: Callable[[Id], Id]) -> None:
    """A copy is equal and of the same kind."""
    made = kind.new()
    assert duplicate(made) == made
    assert type(duplicate(made)) is kind


def test_equality_and_order() -> None:
    """Ids compare as UUIDs do, so that what a driver returns can be looked up."""
    made = MonitorId.new()
    plain = uuid.UUID(str(made))
    assert made == plain
    assert {plain: 1}[made] == 1
    assert MonitorId(uuid.UUID(int=1)) < uuid.UUID(int=2)
    assert str(made) == str(plain)


@pytest.mark.parametrize("kind", [uuid.UUID, MonitorId, str, lambda _: None])
def test_require_tenant(kind: Callable[[str], Any]) -> None:
    """Only a `TenantId` passes for one."""
    value = kind(str(TenantId.new()))
    with pytest.raises(InvalidValueError) as caught:
        require_tenant(value)
    assert caught.value.field == "tenant_id"


def test_require_owner() -> None:
    """A tenant passes for its own rows only."""
    one = TenantId.new()
    require_owner(one, TenantId(str(one)))
    for tenant_id in (TenantId.new(), cast("TenantId", uuid.UUID(str(one)))):
        with pytest.raises(InvalidValueError) as caught:
            require_owner(tenant_id, one)
        assert caught.value.field == "tenant_id"
