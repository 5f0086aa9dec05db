"""The port for what removed tenants and monitors leave behind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from urlmon.domain.removals import RemovedMonitor


class Removals(Protocol):
    """Serves the sweep: `urlmon.services.sweep`.  Any number of them may run at once.

    `TenantRepo.remove` returns at once, whatever the tenant has; its rows are deleted here, in
    steps.  A removed monitor stays known here, because its results are in a store of their own, and
    some are still on their way to it.  A monitor that is added again is known here no more.

    Every call is one transaction.  Every call can raise `UnavailableError`, and may then be made
    again.
    """

    __slots__ = ()

    @abstractmethod
    async def clear(self, *, limit: int = 1000) -> int:
        """Delete up to `limit` rows of a tenant that was removed; the last of them is its own.

        Nobody sees them: this changes no answer of another port.

        Returns:
            How many went; 0 once no removed tenant is left, or somebody else is at all of them.

        Raises:
            InvalidValueError: The limit is not 1 to 1,000.
        """

    @abstractmethod
    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int = 100
    ) -> tuple[RemovedMonitor, ...]:
        """Take up monitors that were removed, those that are due longest first.

        A removed monitor is due at once, but that of a removed tenant only when the tenant's rows
        are gone.  What is claimed is due again after the lease, unless it is settled before.

        Raises:
            InvalidValueError: The limit is not 1 to 1,000, the lease is not 10 ms to 24 hours in
                whole milliseconds, or the instant is naive.
        """

    @abstractmethod
    async def settle(self, due: Mapping[RemovedMonitor, datetime | None]) -> None:
        """Set when each of up to 1,000 removed monitors is due again; None: it need not be known.

        Repeatable.  A monitor that was added or removed again meanwhile is left as it is.

        Raises:
            InvalidValueError: There are more than 1,000, or an instant is naive.
        """
