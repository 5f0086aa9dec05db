"""Sessions of users: what a token stands for, and how long; pure rules, no storage.

A token is `<where>.<secret>`: a digest of tenant and user, by which a store finds the session in
one step, and 256 random bits.  A store keeps the digest of the whole token, and never the token.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from attrs import Attribute, evolve, field, frozen

from urlmon.domain._validators import (
    check_text,
    duration,
    instant,
    kind_of,
    text,
    text_pairs,
    to_utc,
)
from urlmon.domain.ids import TenantId
from urlmon.domain.monitors import pairs
from urlmon.domain.secrets import Secret
from urlmon.errors import InvalidValueError

MAX_SESSIONS = 100
"""Of one user; the one that was unused for longest makes room for another."""
LOGIN_WINDOW = timedelta(hours=1)
"""How long a login may take, and for how long the creation of its session may be repeated."""
LONGEST_USER_ID = 200
LONGEST_ATTRIBUTE = 500
SHORTEST_SESSION = timedelta(seconds=1)
LONGEST_SESSION = timedelta(days=366)
_length = duration(SHORTEST_SESSION, LONGEST_SESSION, unit=timedelta(milliseconds=1))
_TOKEN = re.compile(r"([\w-]{43})\.[\w-]{43}", re.ASCII)


@frozen(kw_only=True)
class Login:
    """A login that has begun: what a session is created from, once the user is who they say.

    Attributes:
        tenant_id: The user's tenant.
        user_id: Who logs in.
        token: What the session will be found by.  Only the user gets it; stores never keep it.
        generation: Is another after all sessions of the user were revoked.
        until: When it is over, by the store's clock.
    """

    tenant_id: TenantId = field(validator=kind_of(TenantId))
    user_id: str = field(validator=text(LONGEST_USER_ID))
    token: Secret = field(validator=kind_of(Secret))
    generation: int = field(repr=False)
    until: datetime = field(repr=False)

    def __attrs_post_init__(self) -> None:
        if locate(self.token) != user_digest(self.tenant_id, self.user_id):
            raise InvalidValueError("token", "must be made by new_session_token for this user")


def _attribute_name(field_name: str, value: object) -> None:
    check_text(field_name, value, longest=100)


_attribute_pairs = text_pairs(20, _attribute_name)


def _attributes(instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Validate attributes: distinct names, bounded text."""
    _attribute_pairs(instance, attribute, value)
    if len(dict(value)) != len(value):
        raise InvalidValueError(attribute.name, "must not repeat a name")
    for _, content in value:
        check_text(attribute.name, content, longest=LONGEST_ATTRIBUTE, shortest=0)


@frozen(kw_only=True)
class Session:
    """A session of a user.  All instants are by the store's clock.

    Attributes:
        id: The digest of its token, in hexadecimal; nobody gets in with it.
        tenant_id: The user's tenant.
        user_id: Whose it is.
        attributes: What was given with it, in order.
        created_at: When it was created.
        seen_at: When it was last found.
        ttl: How long it lasts without being found.
        expires_at: When it is over unless it is found before; never after `ends_at`.
        ends_at: When it is over in any case.
    """

    id: str
    tenant_id: TenantId = field(validator=kind_of(TenantId))
    user_id: str = field(validator=text(LONGEST_USER_ID))
    attributes: tuple[tuple[str, str], ...] = field(converter=pairs, validator=_attributes)
    created_at: datetime = field(converter=to_utc, validator=instant)
    seen_at: datetime = field(converter=to_utc, validator=instant)
    ttl: timedelta
    expires_at: datetime = field(converter=to_utc, validator=instant)
    ends_at: datetime = field(converter=to_utc, validator=instant)

    def seen(self, at: datetime) -> Session:
        """Return the session found at an instant: it lasts for `ttl` from then."""
        return evolve(self, seen_at=at, expires_at=min(at + self.ttl, self.ends_at))


@frozen(kw_only=True)
class SessionTerms:
    """What a session is created with; valid by construction.

    Attributes:
        ttl: How long it lasts without being found.
        lifetime: How long it lasts at most.
        attributes: Text that belongs to it.
    """

    ttl: timedelta = field(validator=_length)
    lifetime: timedelta = field(validator=_length)
    attributes: tuple[tuple[str, str], ...] = field(converter=pairs, validator=_attributes)

    def __attrs_post_init__(self) -> None:
        if self.ttl > self.lifetime:
            raise InvalidValueError("ttl", "must not be above the lifetime")


def new_session_token(tenant_id: TenantId, user_id: str) -> Secret:
    """Make a token of 256 random bits for a user."""
    return Secret(f"{user_digest(tenant_id, user_id)}.{secrets.token_urlsafe(32)}")


def user_digest(tenant_id: TenantId, user_id: str) -> str:
    """Return what stands for a user of a tenant in tokens and in a store's keys."""
    check_text("user_id", user_id, longest=LONGEST_USER_ID)
    digest = hashlib.sha256(tenant_id.bytes + user_id.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def locate(token: Secret) -> str | None:
    """Return the digest of the user that a token is made for; None where it is no token."""
    match = _TOKEN.fullmatch(token.reveal())
    return None if match is None else match[1]


def session_id_of(token: Secret) -> str:
    """Return the id of the session that a token finds."""
    return hashlib.sha256(token.reveal().encode()).hexdigest()


def newest_first(sessions: Iterable[Session]) -> tuple[Session, ...]:
    """Return sessions in the order of lists."""
    return tuple(sorted(sessions, key=lambda each: (each.created_at, each.id), reverse=True))
