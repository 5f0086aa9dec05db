"""Tokens of sessions, and logins."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.ids import TenantId
from urlmon.domain.secrets import Secret
from urlmon.domain.sessions import Login, locate, new_session_token, session_id_of, user_digest
from urlmon.errors import InvalidValueError
from urlmon.testing.clock import NOON

TENANT = TenantId.new()
NAMES = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=200)


def a_login(tenant_id: TenantId, user_id: str, token: Secret) -> Login:
    """Make a login with a token."""
    return Login(
        tenant_id=tenant_id,
        user_id=user_id,
        token=token,
        generation=1,
        until=NOON + timedelta(hours=1),
    )


@given(NAMES)
def test_a_token_finds_its_user(name: str) -> None:
    """A token says where its user's sessions are, and has 256 random bits beside that."""
    token, other = new_session_token(TENANT, name), new_session_token(TENANT, name)
    assert locate(token) == locate(other) == user_digest(TENANT, name)
    assert session_id_of(token) != session_id_of(other)
    assert len(token.reveal().partition(".")[2]) == 43


@given(NAMES, NAMES)
def test_users_never_meet(name: str, other: str) -> None:
    """No two users have one digest, nor has one user in two tenants."""
    assert (user_digest(TENANT, name) == user_digest(TENANT, other)) is (name == other)
    assert user_digest(TENANT, name) != user_digest(TenantId.new(), name)


@pytest.mark.parametrize("text", ["x", ".", "x" * 87, f"{'ä' * 43}.{'a' * 43}", f"{'a' * 43}."])
def test_no_tokens(text: str) -> None:
    """What has not the form of a token is none."""
    assert locate(Secret(text)) is None


def test_a_login_has_a_token_of_its_user() -> None:
    """A login with a token that was made for somebody else is refused."""
    token = new_session_token(TENANT, "ann")
    login = a_login(TENANT, "ann", token)
    assert token.reveal() not in repr(login)
    for change in (
        {"user_id": "bob"},
        {"tenant_id": TenantId.new()},
        {"token": Secret("chosen by somebody")},
    ):
        with pytest.raises(InvalidValueError):
            evolve(login, **change)
