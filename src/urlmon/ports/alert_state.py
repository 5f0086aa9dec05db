"""The port for how monitors stand: the state that alerting decides by."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from urlmon.domain.alert_policy import AlertPolicy
from urlmon.domain.alert_state import AlertState
from urlmon.domain.alerting import Decision
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import AlertId, MonitorId, TenantId


class AlertStateCache(Protocol):
    """Keeps each monitor's alert state, by the rules of `urlmon.domain.alerting`.

    State that is not there, or was lost, reads as unknown and never as up.  Every call is atomic.
    Every call can raise `UnavailableError`, and may then be made again; while the working state is
    lost (`WorkingState`) all but `get`, `get_many` and `seed` do, and change nothing.
    `InvalidValueError` is raised, before anything is sent, for a `tenant_id` that is no `TenantId`.
    """

    __slots__ = ()

    @abstractmethod
    async def record(
        self, tenant_id: TenantId, outcome: CheckOutcome, *, policy: AlertPolicy
    ) -> Decision:
        """Apply an outcome, and put the transition it makes, if any, into the outbox, in one step.

        Repeatable: an immediate repeat is a duplicate that names the transition made the first
        time; it adds nothing to the outbox.  A stale outcome, and one of a location that is none of
        the policy's, change nothing and say so.

        Where a policy of a higher version was applied before, that one is applied again.

        Returns:
            What the outcome did, by `urlmon.domain.alerting.decide`.

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
        """Store a state where there is none, also while the working state is lost.

        A suppression alone is no state: it stays, in the place of the one that is given.  Nothing
        is added to the outbox by this call; what the state owes is told as ever, by
        `TransitionOutbox.claim`.  Repeatable, and safe from many callers: the first one wins.

        Args:
            tenant_id: The owner.
            monitor_id: The monitor.
            state: How it stands; `urlmon.domain.restoring.restored` makes it of the record.

        Returns:
            Whether the state is now the one given, but for the suppression: seeded by this call,
            or by an equal earlier one.
        """

    @abstractmethod
    async def replace(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, known: AlertState, state: AlertState
    ) -> bool:
        """Store a state in the place of `known`, unless it has changed since that was read.

        For one that contradicts the record, as a store that came back with older data has it.
        Nothing is added to the outbox by this call.  Repeatable.

        Returns:
            Whether the state is now the one given.
        """

    @abstractmethod
    async def suppress(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, until: datetime | None
    ) -> AlertState:
        """Trigger no alert for outcomes due before `until`; None ends the suppression.

        State is kept up meanwhile.  A monitor that is still down when the suppression ends triggers
        then: with its first outcome due afterwards, or with the first `TransitionOutbox.claim`.
        One that has recovered says nothing.  No reminder is made meanwhile, and one that nobody has
        claimed is taken out of the outbox; an alert that is open may end.  Repeatable.

        Returns:
            The state now.
        """

    @abstractmethod
    async def acknowledge(
        self, tenant_id: TenantId, monitor_id: MonitorId, *, alert_id: AlertId
    ) -> AlertState:
        """Note that somebody took the open alert on: no reminder of it is made any more.

        One that nobody has claimed is taken out of the outbox.  The end of the alert is told all
        the same.  Repeatable.

        Returns:
            The state now.

        Raises:
            NotFoundError: The monitor has no such open alert (`entity` = `"alert"`).
        """

    @abstractmethod
    async def forget(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Drop a monitor's state, for one that is removed or no longer checked.

        What is in the outbox stays, and the ends of what was open, an alert or an episode of
        flapping, are put there in the same step: what was handed over has its end handed over too.
        Repeatable.
        """
