"""Caching: what is kept under which name, and for how long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeAlias

from attrs import frozen

from urlmon.domain._validators import check_milliseconds, check_text
from urlmon.domain.ids import TenantId, require_tenant
from urlmon.errors import InvalidValueError

LONGEST_NAMESPACE: Final = 100
LONGEST_KEY: Final = 200
LARGEST_VALUE: Final = 1_048_576
SHORTEST_TTL: Final = timedelta(seconds=1)
LONGEST_TTL: Final = timedelta(days=30)

SPREAD: Final = 0.1
"""Up to which share of its time to live a value ends early."""

TURN: Final = timedelta(seconds=5)
"""How long others wait for a load before one of them loads too, and at most for all loads."""

LONGEST_LOAD: Final = timedelta(minutes=10)
"""What took longer to load need not be kept."""

Load: TypeAlias = Callable[[], Awaitable[bytes | None]]
"""Works a value out; None says that there is nothing."""


@frozen
class Entry:
    """What a value is kept under.

    Raises:
        InvalidValueError: A part is no `TenantId`, or is too long.
    """

    tenant_id: TenantId
    namespace: str
    key: str

    def __attrs_post_init__(self) -> None:
        require_tenant(self.tenant_id)
        check_namespace(self.namespace)
        check_text("key", self.key, longest=LONGEST_KEY)


@frozen
class Cached:
    """What is kept of an entry; None where it is kept that there is nothing."""

    value: bytes | None


@frozen
class Turn:
    """The right to load an entry.

    Attributes:
        token: What the store asks for before it keeps what was loaded; None where it cannot.
    """

    token: str | None


def check_namespace(namespace: object) -> str:
    """Return a namespace: 1 to 100 characters.

    Raises:
        InvalidValueError: It is no such text.
    """
    return check_text("namespace", namespace, longest=LONGEST_NAMESPACE)


def check_value(value: object) -> bytes:
    """Return a value: up to 1 MiB.

    Raises:
        InvalidValueError: It is no `bytes`, or more of them.
    """
    if not isinstance(value, bytes) or len(value) > LARGEST_VALUE:
        raise InvalidValueError("value", f"must be at most {LARGEST_VALUE} bytes")
    return value


def check_time_to_live(field: str, ttl: object) -> timedelta:
    """Return how long a value may be kept: 1 second to 30 days in whole milliseconds.

    Raises:
        InvalidValueError: It is no such duration.
    """
    return check_milliseconds(field, ttl, SHORTEST_TTL, LONGEST_TTL, "1 second to 30 days")


def spread(ttl: timedelta, chance: float) -> timedelta:
    """Return a time to live that ends up to a tenth early: what is set together ends apart.

    Args:
        ttl: The longest it may be.
        chance: From 0, for all of it, to 1.
    """
    return ttl - ttl * (SPREAD * chance)
