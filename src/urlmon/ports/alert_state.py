"""The port for how monitors stand: the state that alerting decides by."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from urlmon.domain.alerting import AlertPolicy, AlertState, Decision
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import AlertId, MonitorId, TenantId


class AlertStateCache(Protocol):
    """Keeps each monitor's alert state, by the rules of `urlmon.domain.alerting`.

    State that is not there, or was lost, reads as unknown and never as up.  Every call is atomic.
    Every call can raise `UnavailableError`, and may then be made again.  `InvalidValueError` is
    raised, before anything is sent, for a `tenant_id` that is no `TenantId`.
    """

    __slots__ = ()

    @abstractmethod
    async def record(
        self, tenant_id: TenantId, outcome: CheckOutcome, *, policy: AlertPolicy
    ) -> Decision:
        """Apply an outcome, and put the transition it makes, if any, into the outbox, in one step.

        Repeatable: an immediate repeat is a duplicate that names the transition made the first
        time; it adds nothing to the outbox.  A stale outcome changes nothing and says so.

        Raises:
            InvalidValueError: `tenant_id` is not the outcome's own.
        """

    @abstractmethod
    async def get(self, tenant_id: TenantId, monitor_id: MonitorId) -> AlertState:
        """Return a monitor's state; `urlmon.domain.alerting.UNKNOWN` where there is none."""

    @abstractmethod
    async def get_many(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Mapping[MonitorId, AlertState]:
        """Return the states of up to 1,000 monitors, each of them in the answer.

        Atomic for each monitor, not across them.

        Raises:
            InvalidValueError: More than 1,000 ids are given.
        """

    @abstractmethod
    async def seed(self, tenant_id: TenantId, monitor_id: MonitorId, *, state: AlertState) -> bool:
        """Store a state where there is none, as when the store was emptied.

        Nothing is added to the outbox.  Repeatable, and safe from many callers: the first one wins.

        Returns:
            Whether the state is now the one given: seeded by this call, or by an equal earlier one.
        """

    @abstractmethod
    async def suppress(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, until: datetime | None
    ) -> AlertState:
        """Trigger no alert for outcomes due before `until`; None ends the suppression.

        State is kept up meanwhile: a monitor that is still down at its first outcome afterwards
        triggers then.  Repeatable.

        Returns:
            The state now.
        """

    @abstractmethod
    async def acknowledge(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, alert_id: AlertId
    ) -> AlertState:
        """Note that somebody took the open alert on.  Repeatable.

        Returns:
            The state now.

        Raises:
            NotFoundError: The monitor has no such open alert (`entity` = `"alert"`).
        """

    @abstractmethod
    async def forget(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Drop a monitor's state; what is in the outbox stays.  Repeatable."""
