"""An alerter: takes transitions over, opens and resolves alerts, and notifies channels.

Run as many as you like; each transition is leased to one of them.  Needs the settings of urlmon in
its environment, and stops on SIGTERM or SIGINT.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from uuid import uuid4

import aiohttp

from service import Tally, run_service
from urlmon import (
    Alert,
    AlertStatus,
    ChannelKind,
    ClaimedTransition,
    ConflictError,
    LeaseLostError,
    NotFoundError,
    NotificationChannel,
    StoreError,
    Transition,
    TransitionKind,
    UnavailableError,
)
from urlmon_adapters.container import PersistencePorts

IDLE_SECONDS = 0.2
LEASE = timedelta(seconds=10)
RETRY = timedelta(seconds=2)
MAX_RETRY = timedelta(minutes=5)

log = logging.getLogger("alerter")


class Alerter:
    """Acts on transitions, each at least once, and so that twice does no harm."""

    def __init__(
        self, stores: PersistencePorts, session: aiohttp.ClientSession, tally: Tally
    ) -> None:
        self._clock = stores.clock()
        self._directory = stores.directory()
        self._outbox = stores.outbox()
        self._alerts = stores.alerts()
        self._channels = stores.channels()
        self._session = session
        self._tally = tally

    async def run(self) -> None:
        """Act until cancelled."""
        request_id = uuid4().hex
        while True:
            try:
                # A claim counts as a try, and there are ten: none is made while the record is down.
                await self._directory.list_active(limit=1)
                # The same request until it is answered: what a lost answer gave to us is ours.
                claimed = await self._outbox.claim(request_id=request_id, lease=LEASE)
            except UnavailableError as exc:
                log.warning("will try again: %s", exc)
                await asyncio.sleep(RETRY.total_seconds())
                continue
            request_id = uuid4().hex
            # Together, so that none waits for a slow channel of another until its lease ends.
            await asyncio.gather(*map(self._act, claimed))
            if not claimed:
                await asyncio.sleep(IDLE_SECONDS)

    async def _act(self, claimed: ClaimedTransition) -> None:
        transition = claimed.transition
        try:
            if await self._store(transition) and not await self._notify(transition):
                delay = min(RETRY * 2 ** (claimed.attempt - 1), MAX_RETRY)
                await self._outbox.release(claimed, delay=delay)
            else:
                await self._outbox.settle(claimed)
                self._tally["transitions"] += 1
        except LeaseLostError:
            self._tally["lost leases"] += 1
            log.info("another alerter took over %s", transition.id)
        except StoreError as exc:
            # Down, or refused, as where a channel was removed just now: the others go on.  It comes
            # back when its lease has ended, and acting on it once more does no harm.
            log.warning("will try %s again: %s", transition.id, exc)

    async def _store(self, transition: Transition) -> bool:
        """Open, find or resolve the alert; say whether there is anything left to do for it."""
        tenant_id = transition.tenant_id
        try:
            if transition.kind is TransitionKind.TRIGGERED:
                alert = Alert(
                    id=transition.alert_id,
                    tenant_id=tenant_id,
                    monitor_id=transition.monitor_id,
                    rule=transition.rule,
                    cause=transition.cause,
                    opened_at=transition.at,
                )
                await self._open(alert)
            elif transition.kind is TransitionKind.RESOLVED:
                await self._alerts.resolve(tenant_id, transition.alert_id, at=transition.at)
            elif transition.kind is TransitionKind.REMINDER:
                alert = await self._alerts.get(tenant_id, transition.alert_id)
                return alert.status is AlertStatus.FIRING
        except (NotFoundError, ConflictError) as exc:
            log.warning("nothing to do for %s: %s", transition.id, exc)
            return False
        return True

    async def _open(self, alert: Alert) -> None:
        """Open an alert; what is open of the same rule has ended before, and its end was lost."""
        try:
            await self._alerts.open(alert.tenant_id, alert)
        except ConflictError:
            opened = await self._alerts.open_for(alert.tenant_id, [alert.monitor_id])
            for stale in opened.get(alert.monitor_id, ()):
                if stale.rule == alert.rule and stale.id != alert.id:
                    log.warning("the end of alert %s was lost", stale.id)
                    await self._alerts.resolve(alert.tenant_id, stale.id, at=alert.opened_at)
            await self._alerts.open(alert.tenant_id, alert)

    async def _notify(self, transition: Transition) -> bool:
        """Hand the transition over to every channel of the monitor; say whether all took it."""
        taken = True
        channels = await self._channels.for_monitor(transition.tenant_id, transition.monitor_id)
        for channel in channels:
            at = self._clock.now()
            error = await self._send(channel, transition)
            await self._channels.record_delivery(
                transition.tenant_id, channel.id, at=at, error=error
            )
            taken = taken and error is None
        number = notification_number(transition)
        if channels and taken and number is not None:
            await self._alerts.count_notification(
                transition.tenant_id, transition.alert_id, number=number
            )
        return taken

    async def _send(self, channel: NotificationChannel, transition: Transition) -> str | None:
        """Post to a webhook; return what went wrong, or None."""
        if channel.kind is not ChannelKind.WEBHOOK:
            return f"this example cannot send to {channel.kind}"
        secrets = await self._channels.reveal(transition.tenant_id, channel.id)
        token = secrets.get("token")
        # The stable id lets the receiver recognise a repeat.
        body = {"id": transition.id, "kind": transition.kind, "cause": transition.cause}
        try:
            async with self._session.post(
                dict(channel.config)["url"],
                json=body,
                headers={} if token is None else {"Authorization": f"Bearer {token.reveal()}"},
                timeout=aiohttp.ClientTimeout(total=5),
            ) as response:
                return None if response.ok else f"HTTP status {response.status}"
        except (aiohttp.ClientError, TimeoutError, KeyError) as exc:
            return type(exc).__name__


def notification_number(transition: Transition) -> int | None:
    """Return the how-manieth notification of its alert this is; None where it has no alert."""
    after = {TransitionKind.TRIGGERED: 1, TransitionKind.REMINDER: 1, TransitionKind.RESOLVED: 2}
    return None if transition.kind not in after else after[transition.kind] + transition.number


async def main(stores: PersistencePorts, tally: Tally) -> None:
    """Act until cancelled."""
    async with aiohttp.ClientSession() as session:
        await Alerter(stores, session, tally).run()


if __name__ == "__main__":
    run_service("alerter", main)
