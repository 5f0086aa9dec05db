"""The Redis `Schedule`."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

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
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._commands import Reply
from urlmon_adapters.redis._errors import STORE
from urlmon_adapters.redis._keys import BUCKETS, bucket_of, bucket_order
from urlmon_adapters.redis._replies import decoding, items, number, pairs, text
from urlmon_adapters.redis._schedule_changes import Change, send_changes
from urlmon_adapters.redis._schedule_shares import share_out
from urlmon_adapters.redis._scripts import load
from urlmon_adapters.redis._states import from_us, name_of, read_decision, recording

_MICROSECOND: Final = timedelta(microseconds=1)
_RUN: Final = ("clock", "schedule", "schedule_run")
_COMPLETE: Final = ("whole", *_RUN, "schedule_complete")


class RedisSchedule(Schedule):
    """Keeps what is due in sorted sets, bucket by bucket; leases go by the server's clock."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

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
        (known,) = await self._upsert("Schedule.upsert", (entry,), at_once=at_once)
        return bool(known)

    async def seed(self, entries: Sequence[ScheduleEntry]) -> None:
        check_many("entries", entries)
        if entries:
            await self._upsert("Schedule.seed", entries, at_once=False)

    async def remove(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        key = require_tenant(tenant_id), monitor_id
        script = load("clock", "schedule", "schedule_places", "schedule_remove")
        await send_changes(self._client, "Schedule.remove", script, [Change(*key)])

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
        operation, keys = "Schedule.claim", self._client.keys
        buckets = [
            (keys.checks(bucket, location, request_id), *self._keys(bucket, location))
            for bucket in bucket_order(request_id)
        ]
        takes = await share_out(self._client, operation, buckets, limit)
        if takes is not None and not takes:
            return ()
        takes = takes or Counter()
        # In every bucket, also where there is nothing to take: a command of an earlier try that is
        # still on its way finds that the request was served there.
        token, lease_us = secrets.token_hex(16), lease // _MICROSECOND
        grants = await self._client.run_each(
            operation,
            load("whole", *_RUN, "schedule_request", "schedule_claim"),
            [(*bucket, token, takes[place], lease_us) for place, bucket in enumerate(buckets)],
            keys=4,
        )
        with decoding(operation):
            claims = [claimed for grant in grants for claimed in _claimed(items(grant), location)]
        return tuple(sorted(claims, key=lambda each: (each.scheduled_at, each.monitor_id)))

    async def renew(
        self, claims: Sequence[ClaimedCheck], *, lease: timedelta
    ) -> tuple[ClaimedCheck, ...]:
        check_many("claims", claims)
        check_ttl(lease, field="lease")
        if not claims:
            return ()
        operation, lease_us = "Schedule.renew", lease // _MICROSECOND
        ends = await self._client.run_each(
            operation,
            load(*_RUN, "schedule_renew"),
            [(*self._keys_of(each), *_holder(each), lease_us) for each in claims],
            keys=3,
        )
        with decoding(operation):
            return tuple(
                evolve(claimed, leased_until=from_us(number(end)))
                for claimed, end in zip(claims, ends, strict=True)
                if end
            )

    async def complete(
        self,
        claimed: ClaimedCheck,
        *,
        outcome: CheckOutcome | None = None,
        policy: AlertPolicy | None = None,
    ) -> Decision | None:
        check_outcome(claimed, outcome, policy)
        operation, schedule = "Schedule.complete", self._keys_of(claimed)
        if outcome is None or policy is None:
            script = load(*_COMPLETE)
            reply = await self._client.run(operation, script, schedule, *_holder(claimed))
            _require(reply != 0, operation, claimed)
            return None
        # All of these keys have the tag of the monitor's bucket.
        states, arguments = recording(self._client.keys, outcome, policy)
        reply = await self._client.run(
            operation,
            load(*_COMPLETE, "alert", "alert_record", "outbox", "alert_enter"),
            (*states, *schedule),
            *arguments,
            *_holder(claimed),
        )
        _require(reply != 0, operation, claimed)
        with decoding(operation):
            return read_decision(reply)

    async def release(self, claimed: ClaimedCheck, *, delay: timedelta) -> None:
        check_delay(delay)
        operation = "Schedule.release"
        reply = await self._client.run(
            operation,
            load(*_RUN, "schedule_release"),
            self._keys_of(claimed),
            *_holder(claimed),
            delay // _MICROSECOND,
        )
        _require(bool(reply), operation, claimed)

    async def backlog(self, *, location: str = "default") -> ScheduleBacklog:
        check_location(location)
        operation = "Schedule.backlog"
        replies = await self._client.run_each(
            operation,
            load(*_RUN, "schedule_count"),
            [self._keys(bucket, location) for bucket in range(BUCKETS)],
            keys=3,
        )
        with decoding(operation):
            scheduled, due, lateness = zip(
                *(map(number, items(reply)) for reply in replies), strict=True
            )
        return ScheduleBacklog(
            scheduled=sum(scheduled), due=sum(due), lateness=max(lateness) * _MICROSECOND
        )

    async def _upsert(
        self, operation: str, entries: Sequence[ScheduleEntry], *, at_once: bool
    ) -> list[Reply]:
        """Send the entries together; answer for each whether its version is the one known."""
        changes = [
            Change(
                entry.tenant_id,
                entry.monitor_id,
                arguments=(
                    entry.interval // _MICROSECOND,
                    Grid.of(entry.monitor_id, entry.interval).phase // _MICROSECOND,
                    entry.version,
                    int(at_once),
                    len(entry.locations),
                ),
                locations=entry.locations,
            )
            for entry in entries
        ]
        script = load("clock", "schedule", "schedule_places", "schedule_upsert")
        return await send_changes(self._client, operation, script, changes)

    def _keys(self, bucket: int, location: str) -> tuple[str, str, str]:
        """Return what `schedule_run.lua` takes."""
        keys = self._client.keys
        return (*keys.schedule(bucket, location), keys.whole(bucket))

    def _keys_of(self, claimed: ClaimedCheck) -> tuple[str, str, str]:
        return self._keys(bucket_of(claimed.monitor_id), claimed.location)


def _holder(claimed: ClaimedCheck) -> tuple[str, str]:
    """Return what the scripts know a claim by."""
    return name_of(claimed.tenant_id, claimed.monitor_id), claimed.token


def _require(holds: bool, operation: str, claimed: ClaimedCheck) -> None:  # noqa: FBT001
    if not holds:
        raise LeaseLostError(STORE, operation, name=f"monitor {claimed.monitor_id}")


def _claimed(grant: Sequence[Reply], location: str) -> list[ClaimedCheck]:
    """Read what a bucket gave: ends of leases, each with the monitors and their runs."""
    found = []
    for until, held in pairs(grant):
        for name, run in pairs(items(held)):
            tenant_id, _, monitor_id = text(name).partition(":")
            _, _, version, slot, attempt, _, token = text(run).split(" ")
            found.append(
                ClaimedCheck(
                    tenant_id=TenantId(tenant_id),
                    monitor_id=MonitorId(monitor_id),
                    location=location,
                    scheduled_at=from_us(slot),
                    version=int(version),
                    token=token,
                    attempt=int(attempt),
                    leased_until=from_us(number(until)),
                )
            )
    return found
