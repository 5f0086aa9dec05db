"""Tenants: what they allow, refuse and make of what they are given."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.tenants import TenantLimits, TenantStatus, is_slug
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_tenant
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.texts import HOSTILE_TEXTS, IMPOSSIBLE_TEXTS

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
SLUGS = ["a", "0", "a-b", "a--b", "a" * 63, "0" + "-" * 61 + "9"]
NO_SLUGS = [
    "",
    "-",
    "-a",
    "a-",
    "A",
    "a_b",
    "a b",
    "a\n",
    "a" * 64,
    "\u00e4",
    "\u0661",
    None,
    7,
    b"a",
]


@pytest.mark.parametrize("slug", SLUGS)
def test_slugs(slug: str) -> None:
    """A slug is 1 to 63 of a-z, 0-9 and inner hyphens."""
    assert is_slug(slug)
    assert a_tenant(slug=slug).slug == slug


@pytest.mark.parametrize("slug", NO_SLUGS)
def test_other_slugs(slug: Any) -> None:
    """Everything else is none."""
    assert not is_slug(slug)
    with pytest.raises(InvalidValueError) as caught:
        a_tenant(slug=slug)
    assert caught.value.field == "slug"


@given(st.text(max_size=70) | st.from_regex(r"[a-z0-9-]{0,70}", fullmatch=True))
def test_the_field_and_the_question_agree(text: str) -> None:
    """Whatever can be a slug is accepted for one, and nothing else."""
    try:
        a_tenant(slug=text)
    except InvalidValueError:
        assert not is_slug(text)
    else:
        assert is_slug(text)


@pytest.mark.parametrize("name", [*HOSTILE_TEXTS, "x", "\N{PILE OF POO}" * 200])
def test_names(name: str) -> None:
    """A name is any text of 1 to 200 characters."""
    assert a_tenant(name=name).name == name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", text) for text in ("", "x" * 201, *IMPOSSIBLE_TEXTS, None)),
        ("status", "active"),
        ("limits", {"max_monitors": 1}),
        ("created_at", NOON.replace(tzinfo=None)),
        ("updated_at", None),
        ("version", 0),
    ],
)
def test_refused(field: str, value: object) -> None:
    """What a field does not allow is refused by its name."""
    with pytest.raises(InvalidValueError) as caught:
        a_tenant(**{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize("value", [0, 1_000_000])
def test_most_monitors(value: int) -> None:
    """A tenant may have up to a million monitors."""
    assert TenantLimits(max_monitors=value).max_monitors == value


@pytest.mark.parametrize("value", [SECOND, DAY])
def test_shortest_intervals(value: timedelta) -> None:
    """The shortest interval is from a second to a day."""
    assert TenantLimits(shortest_interval=value).shortest_interval == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_monitors", -1),
        ("max_monitors", 1_000_001),
        ("max_monitors", True),
        ("max_monitors", None),
        ("shortest_interval", timedelta(0)),
        ("shortest_interval", timedelta(milliseconds=1_001)),
        ("shortest_interval", DAY + SECOND),
        ("shortest_interval", 60),
    ],
)
def test_other_limits(field: str, value: Any) -> None:
    """Everything else is refused by its name."""
    with pytest.raises(InvalidValueError) as caught:
        TenantLimits(**{field: value})
    assert caught.value.field == field


def test_switching() -> None:
    """A change of status is a change; what has the status already is the same object."""
    tenant = a_tenant()
    later = NOON + timedelta(hours=1)
    assert tenant.switched(status=TenantStatus.ACTIVE, at=later) is tenant
    suspended = tenant.switched(status=TenantStatus.SUSPENDED, at=later)
    assert (suspended.status, suspended.version) == (TenantStatus.SUSPENDED, 2)
    assert (suspended.created_at, suspended.updated_at) == (NOON, later)
    with pytest.raises(InvalidValueError):
        tenant.switched(status="suspended", at=later)  # type: ignore[arg-type]
