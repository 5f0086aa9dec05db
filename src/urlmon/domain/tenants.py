"""Tenants: who monitors belong to, and what they may use."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import StrEnum

from attrs import evolve, field, frozen

from urlmon.domain._validators import (
    duration,
    instant,
    kind_of,
    pattern,
    text,
    to_utc,
    whole,
)
from urlmon.domain.ids import TenantId

_SLUG = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


class TenantStatus(StrEnum):
    """Whether a tenant's monitors are checked."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@frozen(kw_only=True)
class TenantLimits:
    """What a tenant may use.

    Attributes:
        max_monitors: The most monitors it may have, 0 to 1,000,000.
        shortest_interval: The shortest interval of its monitors, whole seconds from 1 s to 1 day.
    """

    max_monitors: int = field(default=50, validator=whole(0, 1_000_000))
    shortest_interval: timedelta = field(
        default=timedelta(seconds=60),
        validator=duration(timedelta(seconds=1), timedelta(days=1), unit=timedelta(seconds=1)),
    )


@frozen(kw_only=True)
class Tenant:
    """A tenant.

    Attributes:
        id: Chosen by the caller.
        slug: Unique short name: 1 to 63 of a-z, 0-9 and inner hyphens.
        name: 1 to 200 characters.
        status: Whether its monitors are checked.
        limits: What it may use.
        created_at: Set by the caller.
        updated_at: Set by the caller at each change.
        version: Counts changes from 1; an update must name the version that it has seen.
    """

    id: TenantId = field(validator=kind_of(TenantId))
    slug: str = field(
        validator=pattern(
            _SLUG, "must be 1 to 63 of a-z, 0-9 and hyphens, with no hyphen at either end"
        )
    )
    name: str = field(validator=text(200))
    status: TenantStatus = field(default=TenantStatus.ACTIVE, validator=kind_of(TenantStatus))
    limits: TenantLimits = field(factory=TenantLimits, validator=kind_of(TenantLimits))
    created_at: datetime = field(converter=to_utc, validator=instant)
    updated_at: datetime = field(converter=to_utc, validator=instant)
    version: int = field(default=1, validator=whole(1, 2**31 - 1))

    def switched(self, *, status: TenantStatus, at: datetime) -> Tenant:
        """Return the tenant activated or suspended; itself where it is so already.

        Raises:
            InvalidValueError: A value is none that the domain allows.
        """
        if self.status is status:
            return self
        return evolve(self, status=status, updated_at=at, version=self.version + 1)


def is_slug(value: object) -> bool:
    """Say whether a value can be a tenant's slug."""
    return isinstance(value, str) and re.fullmatch(_SLUG, value) is not None
