"""The in-memory `Schedule`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

from attrs import evolve

from urlmon.domain.alerting import AlertPolicy, Decision
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.leases import check_ttl
from urlmon.domain.pages import check_many
from urlmon.domain.scheduling import (
    ClaimedCheck,
    Grid,
    ScheduleBacklog,
    ScheduleEntry,
    check_location,
    check_outcome,
)
from urlmon.domain.transitions import check_claim, check_delay
from urlmon.errors import LeaseLostError
from urlmon.ports import Schedule
from urlmon.testing._runs import CheckRequest, Run, RunKey, RunState
from urlmon.testing.alert_state import apply_outcome
from urlmon.testing.state import InMemoryState

_MILLISECOND = timedelta(milliseconds=1)


class InMemorySchedule(Schedule):
    """Keeps the schedule in a dictionary, by the clock of the state."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def upsert(
        self,
        tenant_id: TenantId,
        monitor_id: MonitorId,
        *,
        interval: timedelta,
        version: int,
        locations: tuple[str, ...] = ("default",),
        at_once: bool = False,
    ) -> bool:
        entry = ScheduleEntry(
            tenant_id=tenant_id,
            monitor_id=monitor_id,
            interval=interval,
            locations=locations,
            version=version,
        )
        async with self._state.faults.call("Schedule.upsert"):
            return self._upsert(entry, at_once=at_once)

    async def seed(self, entries: Sequence[ScheduleEntry]) -> None:
        check_many("entries", entries)
        async with self._state.faults.call("Schedule.seed"):
            for entry in entries:
                self._upsert(entry, at_once=False)

    async def remove(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        key = require_tenant(tenant_id), monitor_id
        async with self._state.faults.call("Schedule.remove"):
            version, locations = self._state.scheduled.pop(key, (None, ()))
            if version is not None:
                self._state.unscheduled[key] = version
            for location in locations:
                del self._state.runs[*key, location]

    async def claim(
        self,
        *,
        request_id: str,
        location: str = "default",
        limit: int = 10,
        lease: timedelta = timedelta(seconds=30),
    ) -> tuple[ClaimedCheck, ...]:
        check_claim(request_id, limit, lease)
        check_location(location)
        async with self._state.faults.call("Schedule.claim"):
            self._state.require_whole("Schedule.claim")
            now, runs = self._state.clock.now(), self._state.runs
            request = self._state.check_requests.get((location, request_id))
            if request is None or now >= request.until:
                due = sorted(
                    (run.since, key)
                    for key, run in runs.items()
                    if key[2] == location and run.since <= now
                )
                keys = tuple(key for _, key in due[:limit])
                request = CheckRequest(secrets.token_hex(16), now + lease, keys)
                for key in keys:
                    run = runs[key]
                    run.slot, run.since = run.grid.claimed(run.slot, now=now), now + lease
                    run.attempts += 1
                    run.state, run.token = RunState.CLAIMED, request.token
                if keys:
                    self._state.check_requests[location, request_id] = request
            held = (self._claimed(key, request.token) for key in request.keys)
            claims = [claimed for claimed in held if claimed is not None]
            return tuple(sorted(claims, key=lambda each: (each.scheduled_at, each.monitor_id)))

    async def renew(
        self, claims: Sequence[ClaimedCheck], *, lease: timedelta
    ) -> tuple[ClaimedCheck, ...]:
        check_many("claims", claims)
        check_ttl(lease, field="lease")
        async with self._state.faults.call("Schedule.renew"):
            held = []
            for claimed in claims:
                run = self._run_of(claimed)
                if run is not None and run.state is RunState.CLAIMED:
                    run.since = self._state.clock.now() + lease
                    held.append(evolve(claimed, leased_until=run.since))
            return tuple(held)

    async def complete(
        self,
        claimed: ClaimedCheck,
        *,
        outcome: CheckOutcome | None = None,
        policy: AlertPolicy | None = None,
    ) -> Decision | None:
        check_outcome(claimed, outcome, policy)
        async with self._state.faults.call("Schedule.complete"):
            self._state.require_whole("Schedule.complete")
            run = self._end("Schedule.complete", claimed, RunState.COMPLETED)
            if run.state is RunState.CLAIMED:
                run.slot = run.grid.following(run.slot, now=self._state.clock.now())
                run.since, run.attempts, run.state = run.slot, 0, RunState.COMPLETED
            if outcome is None or policy is None:
                return None
            return apply_outcome(self._state, outcome, policy)

    async def release(self, claimed: ClaimedCheck, *, delay: timedelta) -> None:
        check_delay(delay)
        async with self._state.faults.call("Schedule.release"):
            run = self._end("Schedule.release", claimed, RunState.RELEASED)
            if run.state is RunState.CLAIMED:
                run.since, run.state = self._state.clock.now() + delay, RunState.RELEASED

    async def backlog(self, *, location: str = "default") -> ScheduleBacklog:
        check_location(location)
        async with self._state.faults.call("Schedule.backlog"):
            now, runs = self._state.clock.now(), self._state.runs
            since = [run.since for key, run in runs.items() if key[2] == location]
            return ScheduleBacklog(
                scheduled=len(since),
                due=sum(each <= now for each in since),
                lateness=max(timedelta(0), now - min(since, default=now)),
            )

    def _upsert(self, entry: ScheduleEntry, *, at_once: bool) -> bool:
        """Bring an entry in; return whether its version is the one now known."""
        key, scheduled = (entry.tenant_id, entry.monitor_id), self._state.scheduled
        known, locations = scheduled.get(key, (self._state.unscheduled.get(key, 0), ()))
        if entry.version < known:
            return False
        if entry.version > known or key not in scheduled:
            for location in set(locations) - set(entry.locations):
                del self._state.runs[*key, location]
            for location in entry.locations:
                self._update((*key, location), entry, at_once=at_once)
            scheduled[key] = entry.version, entry.locations
        return True

    def _update(self, key: RunKey, entry: ScheduleEntry, *, at_once: bool) -> None:
        """Bring what is known at a location up to a newer version."""
        now, grid = self._state.clock.now(), Grid.of(entry.monitor_id, entry.interval)
        run = self._state.runs.get(key)
        if run is None:
            slot = (
                now - timedelta(microseconds=now.microsecond % 1000) if at_once else grid.after(now)
            )
            self._state.runs[key] = Run(grid=grid, version=entry.version, slot=slot, since=slot)
            return
        # The slot of a monitor that is due or claimed has come: it stays.
        if run.grid != grid and run.slot > now:
            run.slot = run.since = grid.after(now)
        run.grid, run.version = grid, entry.version

    def _run_of(self, claimed: ClaimedCheck) -> Run | None:
        """Return the run that a claim is the newest of."""
        run = self._state.runs.get((claimed.tenant_id, claimed.monitor_id, claimed.location))
        return run if run is not None and run.token == claimed.token else None

    def _end(self, operation: str, claimed: ClaimedCheck, end: RunState) -> Run:
        """Return the run that a claim may end, or has ended, in this way.

        Raises:
            LeaseLostError: It may not.
        """
        run = self._run_of(claimed)
        if run is None or run.state not in {RunState.CLAIMED, end}:
            raise LeaseLostError("memory", operation, name=f"monitor {claimed.monitor_id}")
        return run

    def _claimed(self, key: RunKey, token: str) -> ClaimedCheck | None:
        """Return a claim as it is now; None where it is lost."""
        run = self._state.runs.get(key)
        if run is None or run.token != token or run.state is not RunState.CLAIMED:
            return None
        return ClaimedCheck(
            tenant_id=key[0],
            monitor_id=key[1],
            location=key[2],
            scheduled_at=run.slot,
            version=run.version,
            token=token,
            attempt=run.attempts,
            leased_until=run.since,
        )
