"""Finds alerts of which the record and the working state tell different things, and mends them."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Sequence

from attrs import evolve

from urlmon.domain.alert_state import AlertState
from urlmon.domain.alerts import AVAILABILITY, Alert, AlertStatus
from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.errors import NotFoundError
from urlmon.ports import AlertRepo, AlertStateCache, MonitorDirectory, TransitionOutbox
from urlmon.services.seeding import Seeding, together

_log = logging.getLogger("urlmon.upkeep")


class Agreement:
    """Mends what a store that came back with older data contradicts the record in.

    Such a store is whole, and nobody who uses it can tell.  But a difference that nothing in the
    outbox accounts for is none that will pass: an alert is opened and resolved in the record by a
    transition, and that is in the outbox until it was.  The record is right then.  An open alert
    that it does not know at all is left alone: its opening was given up, or is kept elsewhere.

    Attributes:
        restored: How many monitors were, so far.
    """

    def __init__(
        self,
        *,
        directory: MonitorDirectory,
        alert_state: AlertStateCache,
        outbox: TransitionOutbox,
        alerts: AlertRepo,
        seeding: Seeding,
    ) -> None:
        self._directory = directory
        self._alert_state = alert_state
        self._outbox = outbox
        self._alerts = alerts
        self._seeding = seeding
        self.restored = 0

    async def restore(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> Sequence[MonitorId]:
        """Mend what is wrong with the alerts of up to 1,000 monitors of a tenant.

        Returns:
            Those that are in doubt, as something is on its way: look again soon.

        Raises:
            UnavailableError: A store did not answer; call again later.
        """
        # In this order: what was not on its way after its state was read has come to the record.
        states = await self._alert_state.get_many(tenant_id, monitor_ids)
        on_the_way = await self._outbox.on_the_way(tenant_id, monitor_ids)
        opened = await self._alerts.open_for(tenant_id, monitor_ids)
        doubtful = list[MonitorId]()

        async def mend(monitor_id: MonitorId, state: AlertState, alert: Alert | None) -> None:
            if not await self._mend(tenant_id, monitor_id, state, alert):
                doubtful.append(monitor_id)

        wrong = list[Coroutine[None, None, None]]()
        for each in monitor_ids:
            state, alert = states[each], _of_policy(opened.get(each, ()))
            if _agree(state, alert):
                continue
            # What flaps tells the end of that first.
            if each in on_the_way or state.flapping is not None:
                doubtful.append(each)
            else:
                wrong.append(mend(each, state, alert))
        await together(wrong)
        return doubtful

    async def _mend(
        self, tenant_id: TenantId, monitor_id: MonitorId, state: AlertState, alert: Alert | None
    ) -> bool:
        """Mend one monitor; say whether nothing is left to do."""
        try:
            if alert is not None and alert.id == state.open_alert:
                await self._alert_state.acknowledge(tenant_id, monitor_id, alert_id=alert.id)
                return True
            if alert is None and not await self._has_ended(tenant_id, state.open_alert):
                return True
            monitor = await self._directory.get(tenant_id, monitor_id)
        except NotFoundError:  # ended or removed meanwhile, or the record never had it
            return True
        right = await self._seeding.state_of(monitor, alert)
        right = evolve(right, suppressed_until=state.suppressed_until)
        if not await self._alert_state.replace(tenant_id, monitor_id, known=state, state=right):
            return False
        self.restored += 1
        _log.info(
            "monitor %s had alert %s open in the working state, and %s in the record: restored",
            monitor_id,
            state.open_alert,
            right.open_alert,
        )
        return True

    async def _has_ended(self, tenant_id: TenantId, alert_id: AlertId | None) -> bool:
        if alert_id is None:
            return False
        alert = await self._alerts.get(tenant_id, alert_id)
        return alert.status is AlertStatus.RESOLVED


def _of_policy(opened: Sequence[Alert]) -> Alert | None:
    """Return the open alert of the rule that policies made of monitors have."""
    return next((each for each in opened if each.rule == AVAILABILITY), None)


def _agree(state: AlertState, alert: Alert | None) -> bool:
    """Say whether a state has the open alert of the record, and knows if somebody took it on."""
    if alert is None:
        return state.open_alert is None
    acknowledged = alert.status is AlertStatus.ACKNOWLEDGED
    return state.open_alert == alert.id and (state.acknowledged or not acknowledged)
