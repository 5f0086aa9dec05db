"""Notification channels: where an alerter sends notifications, and how well that goes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import Attribute, evolve, field, frozen

from urlmon.domain._validators import (
    check_first_version,
    check_instant,
    check_text,
    instant,
    kind_of,
    optional,
    text,
    text_pairs,
    to_utc,
    to_utc_or_none,
    whole,
)
from urlmon.domain.ids import ChannelId, TenantId, require_owner
from urlmon.domain.monitors import pairs
from urlmon.domain.secrets import Secret
from urlmon.errors import InvalidValueError

LONGEST_ERROR = 500
MAX_SECRETS = 20
_MOST = 2**31 - 1


class ChannelKind(StrEnum):
    """What a channel speaks to."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    SLACK = "slack"
    TEAMS = "teams"
    DISCORD = "discord"
    TELEGRAM = "telegram"
    PAGERDUTY = "pagerduty"
    OPSGENIE = "opsgenie"
    SMS = "sms"


def _config_key(field_name: str, value: object) -> None:
    check_text(f"{field_name} key", value, longest=100)


_config_pairs = text_pairs(50, _config_key)


def _settings(instance: object, attribute: Attribute[Any], value: Any) -> None:
    """Validate configuration: distinct keys, bounded text."""
    _config_pairs(instance, attribute, value)
    if len({key for key, _ in value}) != len(value):
        raise InvalidValueError(attribute.name, "must not repeat a key")


@frozen(kw_only=True)
class ChannelHealth:
    """How deliveries through a channel went.

    Attributes:
        consecutive_failures: Failed deliveries since the last that succeeded.
        last_delivery_at: When the newest delivery was made that is counted here.
        last_success_at: When one last succeeded.
        last_error: What the newest failed one said, at most 500 characters; None after a success.
    """

    consecutive_failures: int = field(default=0, validator=whole(0, _MOST))
    last_delivery_at: datetime | None = field(
        default=None, converter=to_utc_or_none, validator=optional(instant)
    )
    last_success_at: datetime | None = field(
        default=None, converter=to_utc_or_none, validator=optional(instant)
    )
    last_error: str | None = field(default=None, validator=optional(text(LONGEST_ERROR)))

    def after(self, *, at: datetime, error: str | None) -> ChannelHealth:
        """Return the health after a delivery; the same where this delivery is counted already.

        Args:
            at: When the delivery was made; one not later than `last_delivery_at` changes nothing.
            error: What went wrong, 1 to 500 characters; None if it succeeded.

        Raises:
            InvalidValueError: The error is longer, or the instant is naive.
        """
        at = check_instant("at", at)
        # Made first, so that a repeat is refused for what the first time was refused for.
        counted = ChannelHealth(
            consecutive_failures=0 if error is None else min(self.consecutive_failures + 1, _MOST),
            last_delivery_at=at,
            last_success_at=at if error is None else self.last_success_at,
            last_error=error,
        )
        is_old = self.last_delivery_at is not None and at <= self.last_delivery_at
        return self if is_old else counted


@frozen(kw_only=True)
class NotificationChannel:
    """A way to notify somebody.  Its secrets are read through `ChannelRepo.reveal` alone.

    Attributes:
        id: Chosen by the caller.
        tenant_id: The owner.
        name: Unique in the tenant, 1 to 200 characters.
        kind: What it speaks to.
        config: Up to 50 settings that are no secret; keys of 100, values of 4,096 characters.
        enabled: Whether notifications are sent through it.
        health: How deliveries went; kept by `ChannelRepo.record_delivery`, ignored by `update`.
        created_at: Set by the caller.
        updated_at: Set by the caller at each change.
        version: Counts changes from 1; deliveries do not change it.
    """

    id: ChannelId = field(validator=kind_of(ChannelId))
    tenant_id: TenantId = field(validator=kind_of(TenantId))
    name: str = field(validator=text(200))
    kind: ChannelKind = field(validator=kind_of(ChannelKind))
    config: tuple[tuple[str, str], ...] = field(default=(), converter=pairs, validator=_settings)
    enabled: bool = field(default=True, validator=kind_of(bool))
    health: ChannelHealth = field(factory=ChannelHealth, validator=kind_of(ChannelHealth))
    created_at: datetime = field(converter=to_utc, validator=instant)
    updated_at: datetime = field(converter=to_utc, validator=instant)
    version: int = field(default=1, validator=whole(1, _MOST))

    def updated(self, wanted: NotificationChannel) -> NotificationChannel:
        """Return this stored channel after the update that `wanted` asks for.

        Its version is one above the version that `wanted` has seen, so the result of an update that
        was made already equals the stored channel.
        """
        return evolve(
            self,
            name=wanted.name,
            kind=wanted.kind,
            config=wanted.config,
            enabled=wanted.enabled,
            updated_at=wanted.updated_at,
            version=wanted.version + 1,
        )


def check_new_channel(tenant_id: TenantId, channel: NotificationChannel) -> None:
    """Refuse a channel that cannot be added.

    Raises:
        InvalidValueError: It belongs to another tenant, or was changed or used already.
    """
    require_owner(tenant_id, channel.tenant_id)
    check_first_version(channel.version)
    if channel.health != ChannelHealth():
        raise InvalidValueError("health", "must be empty for what is new")


def check_secrets(secrets: object) -> dict[str, Secret]:
    """Return a copy of a channel's secrets.

    Raises:
        InvalidValueError: There are more than 20, a name has not 1 to 100 characters, or a value is
            no `Secret`.
    """
    if not isinstance(secrets, Mapping) or len(secrets) > MAX_SECRETS:
        raise InvalidValueError("secrets", f"must be a mapping of at most {MAX_SECRETS}")
    for name, secret in secrets.items():
        check_text("secrets name", name, longest=100)
        if not isinstance(secret, Secret):
            raise InvalidValueError("secrets", "must hold Secret objects only")
    return dict(secrets)
