"""The port for a tenant's notification channels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from urlmon.domain.channels import ChannelHealth, NotificationChannel
from urlmon.domain.ids import ChannelId, MonitorId, TenantId
from urlmon.domain.pages import Page
from urlmon.domain.secrets import Secret


class ChannelRepo(Protocol):
    """Keeps notification channels, their secrets encrypted and bound to tenant and channel.

    A channel of another tenant is the same as none.  Every call is one transaction.  Every call can
    raise `UnavailableError`, and may then be made again.  `InvalidValueError` is raised, before
    anything is sent, for a `tenant_id` that is no `TenantId`, and where it is not its own.
    """

    __slots__ = ()

    @abstractmethod
    async def add(
        self,
        tenant_id: TenantId,
        channel: NotificationChannel,
        *,
        secrets: Mapping[str, Secret] | None = None,
    ) -> NotificationChannel:
        """Store a new channel; its version must be 1 and its health empty.

        Repeatable: the same channel and secrets again give the same answer, as long as neither was
        changed; deliveries counted meanwhile show in its health.

        Args:
            tenant_id: The owner.
            channel: The channel.
            secrets: Up to 20 secrets by name; names have 1 to 100 characters.

        Returns:
            The channel as stored: equal to the argument.

        Raises:
            NotFoundError: There is no such tenant.
            AlreadyExistsError: Another channel of the tenant has the id (`field` = `"id"`) or
                the name (`"name"`).
            InvalidValueError: Version, health or secrets are not as said.
        """

    @abstractmethod
    async def get(self, tenant_id: TenantId, channel_id: ChannelId) -> NotificationChannel:
        """Return a channel, without secrets.

        Raises:
            NotFoundError: The tenant has none with this id.
        """

    @abstractmethod
    async def list(
        self, tenant_id: TenantId, *, cursor: str | None = None, limit: int = 100
    ) -> Page[NotificationChannel]:
        """Return the tenant's channels in order of their ids, which is the order of their making.

        Raises:
            InvalidValueError: The limit is not 1 to 1,000, or the cursor is from another list.
        """

    @abstractmethod
    async def for_monitor(
        self, tenant_id: TenantId, monitor_id: MonitorId
    ) -> tuple[NotificationChannel, ...]:
        """Return the enabled channels that a monitor notifies, in order of their ids.

        Empty for a monitor that the tenant does not have.
        """

    @abstractmethod
    async def update(
        self,
        tenant_id: TenantId,
        channel: NotificationChannel,
        *,
        secrets: Mapping[str, Secret] | None = None,
    ) -> NotificationChannel:
        """Replace name, kind, config, enabled and `updated_at` of the stored version.

        `channel.version` is the version that the caller has seen; its health is ignored.
        Repeatable: the same update again gives the same answer, as long as nothing came between.

        Args:
            tenant_id: The owner.
            channel: The channel.
            secrets: All secrets from now on; None leaves them as they are.

        Returns:
            The channel as stored, its version one higher.

        Raises:
            NotFoundError: The tenant has none with this id.
            ConflictError: The stored version is another one; `current` is it.
            AlreadyExistsError: Another channel of the tenant has the name (`field` = `"name"`).
            InvalidValueError: The secrets are not as `add` says.
        """

    @abstractmethod
    async def remove(self, tenant_id: TenantId, channel_id: ChannelId) -> None:
        """Remove a channel, and take it off every monitor that notifies it, in one transaction.

        Such a monitor's version goes up by one.  Repeatable: a channel that does not exist is left
        that way.
        """

    @abstractmethod
    async def reveal(self, tenant_id: TenantId, channel_id: ChannelId) -> Mapping[str, Secret]:
        """Return the channel's secrets by name.

        Raises:
            NotFoundError: The tenant has none with this id.
            CorruptDataError: They cannot be decrypted: altered, or made with a key not given.
        """

    @abstractmethod
    async def record_delivery(
        self, tenant_id: TenantId, channel_id: ChannelId, *, at: datetime, error: str | None = None
    ) -> ChannelHealth:
        """Count a delivery into the channel's health.

        Repeatable: a delivery that is not later than the newest counted one changes nothing.

        Args:
            tenant_id: The owner.
            channel_id: The channel.
            at: When the delivery was made.
            error: What went wrong, 1 to 500 characters; None if it succeeded.

        Returns:
            The health now.

        Raises:
            NotFoundError: The tenant has none with this id.
            InvalidValueError: The error is longer, or the instant is naive.
        """
