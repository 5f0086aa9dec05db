"""Typed identifiers: UUIDs that cannot be nil, made as version 7 by their owner.

The caller makes an id before the first send, so that a call whose reply was lost can be made again
with the same identity.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import UUID

from urlmon.domain._validators import check_instant
from urlmon.errors import InvalidValueError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _uuid7_int(milliseconds: int, randomness: int) -> int:
    """Lay out a UUID of version 7 (RFC 9562, section 5.7) with 74 bits of `randomness`."""
    high, low = randomness >> 62 & 0xFFF, randomness & (1 << 62) - 1
    return (milliseconds & (1 << 48) - 1) << 80 | 7 << 76 | high << 64 | 2 << 62 | low


class Id(UUID):
    """A UUID other than nil; the base of every typed id.

    Equality and order are those of `uuid.UUID`, so a plain UUID read by a driver compares equal.

    Raises:
        InvalidValueError: The text or UUID given is malformed or nil.
    """

    __slots__ = ()

    def __init__(self, value: str | UUID) -> None:
        try:
            super().__init__(int=value.int if isinstance(value, UUID) else UUID(value).int)
        except (ValueError, AttributeError, TypeError) as exc:
            raise InvalidValueError(type(self).__name__, "must be a UUID") from exc
        if not self.int:
            raise InvalidValueError(type(self).__name__, "must not be the nil UUID")

    @classmethod
    def new(cls) -> Self:
        """Make a new id of version 7 (RFC 9562): ordered by the millisecond of its making."""
        return cls(UUID(int=_uuid7_int(time.time_ns() // 1_000_000, secrets.randbits(74))))

    @classmethod
    def derive(cls, at: datetime, *parts: object) -> Self:
        """Make the one id that belongs to an instant and some parts.

        The same arguments always give the same id, on every machine: what is decided twice, because
        a reply was lost or a store forgot, gets one identity.

        Raises:
            InvalidValueError: The instant has no time zone, or is outside of the supported years.
        """
        utc = check_instant("at", at)
        digest = hashlib.sha256(repr((utc.isoformat(), *map(str, parts))).encode()).digest()
        # Whole numbers: a float of seconds comes out a millisecond early now and then.
        milliseconds = (utc - _EPOCH) // timedelta(milliseconds=1)
        return cls(UUID(int=_uuid7_int(milliseconds, int.from_bytes(digest[:10]) >> 6)))

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (str(self),)


class TenantId(Id):
    """Identifies a tenant."""

    __slots__ = ()


class MonitorId(Id):
    """Identifies a monitor."""

    __slots__ = ()


class ChannelId(Id):
    """Identifies a notification channel."""

    __slots__ = ()


class AlertId(Id):
    """Identifies an alert: one episode of one rule on one monitor."""

    __slots__ = ()


def require_tenant(tenant_id: TenantId) -> TenantId:
    """Return `tenant_id` if it really is one, whatever the caller's type checker was told.

    Raises:
        InvalidValueError: It is something else, such as a plain UUID, which might be nil.
    """
    if not isinstance(tenant_id, TenantId):
        raise InvalidValueError("tenant_id", "must be a TenantId")
    return tenant_id


def require_owner(tenant_id: TenantId, owner: TenantId) -> None:
    """Refuse a `tenant_id` that is none, or that is not the owner of what is given with it.

    Raises:
        InvalidValueError: It is so.
    """
    if require_tenant(tenant_id) != owner:
        raise InvalidValueError("tenant_id", "must be the tenant_id of what is given with it")
