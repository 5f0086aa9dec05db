"""When monitors are due: the rules that every schedule keeps."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from attrs import field, frozen

from urlmon.domain._validators import distinct, duration, kind_of, pattern, whole
from urlmon.domain.alerting import AlertPolicy
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.monitors import LOCATION, LOCATION_MEANING, Monitor
from urlmon.errors import InvalidValueError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_MILLISECOND: Final = timedelta(milliseconds=1)


@frozen
class Grid:
    """The instants at which one monitor is due: `phase` after 1970 began, and every `interval`.

    The phase is a hash of the monitor's id.  So monitors of one interval are spread evenly over it,
    a run that was late moves no later one, and a schedule that was lost comes back as it was.  All
    locations of a monitor have one grid: their results of a slot belong together.
    """

    interval: timedelta
    phase: timedelta

    @classmethod
    def of(cls, monitor_id: MonitorId, interval: timedelta) -> Self:
        """Return a monitor's grid; its phase is whole milliseconds below the interval."""
        number = int.from_bytes(hashlib.sha256(monitor_id.bytes).digest()[:8])
        return cls(interval, number % (interval // _MILLISECOND) * _MILLISECOND)

    def at_or_before(self, moment: datetime) -> datetime:
        """Return the newest slot that has come."""
        return moment - (moment - _EPOCH - self.phase) % self.interval

    def after(self, moment: datetime) -> datetime:
        """Return the first slot later than a moment."""
        return self.at_or_before(moment) + self.interval

    def claimed(self, slot: datetime, *, now: datetime) -> datetime:
        """Return the slot that a check stands for which was due at `slot` and begins now.

        It is the present one: those that were missed meanwhile are left out.
        """
        return max(slot, self.at_or_before(now))

    def following(self, slot: datetime, *, now: datetime) -> datetime:
        """Return when the next check is due after that of `slot` was completed.

        It is always later than `slot`.  One that was missed meanwhile is made up for at once, as
        the present slot; if there were more, the others are left out.
        """
        return max(self.after(slot), self.at_or_before(now))


@frozen(kw_only=True)
class ScheduleEntry:
    """What a schedule has to know of a monitor.

    Attributes:
        tenant_id: The owner.
        monitor_id: What is to be checked.
        interval: Time between checks, as in `Monitor`.
        locations: From where, as in `Monitor`: each checks it on its own account.
        version: The version of the monitor's configuration that says so.
    """

    tenant_id: TenantId = field(validator=kind_of(TenantId))
    monitor_id: MonitorId = field(validator=kind_of(MonitorId))
    interval: timedelta = field(validator=duration(_SECOND, timedelta(days=1), unit=_SECOND))
    locations: tuple[str, ...] = field(
        default=("default",),
        validator=distinct(20, pattern(LOCATION, LOCATION_MEANING), shortest=1),
    )
    version: int = field(validator=whole(1, 2**31 - 1))

    @classmethod
    def of(cls, monitor: Monitor) -> Self:
        """Return the entry of a monitor."""
        return cls(
            tenant_id=monitor.tenant_id,
            monitor_id=monitor.id,
            interval=monitor.interval,
            locations=monitor.locations,
            version=monitor.version,
        )


@frozen(kw_only=True)
class ClaimedCheck:
    """A check leased to one worker.

    Attributes:
        tenant_id: The owner.
        monitor_id: What to check.
        location: From where.
        scheduled_at: When it was due: the identity of its result.  Later than that of every check
            of this monitor completed before at this location.
        version: The newest version of the monitor's configuration that the schedule knows of; who
            has an older one at hand reads the monitor anew.
        token: Identifies the claim; completing needs it.
        attempt: How often the monitor was claimed at this location since a check was last completed
            there, from 1.
        leased_until: When it becomes due for others, by the store's clock.  Not compared: a claim
            that was renewed equals what it was before.
    """

    tenant_id: TenantId
    monitor_id: MonitorId
    location: str
    scheduled_at: datetime
    version: int
    token: str = field(repr=False)
    attempt: int
    leased_until: datetime = field(eq=False)


@frozen(kw_only=True)
class ScheduleBacklog:
    """How far a schedule is behind at a location.

    Attributes:
        scheduled: All monitors that it knows there.
        due: Those that could be claimed now.
        lateness: For how long one of them could have been claimed, at most; zero where none is due.
    """

    scheduled: int
    due: int
    lateness: timedelta


def check_location(location: object) -> str:
    """Return the name of a location.

    Raises:
        InvalidValueError: No location has this name.
    """
    if not isinstance(location, str) or re.fullmatch(LOCATION, location) is None:
        raise InvalidValueError("location", LOCATION_MEANING)
    return location


def check_outcome(
    claimed: ClaimedCheck, outcome: CheckOutcome | None, policy: AlertPolicy | None
) -> None:
    """Refuse to complete a claim with another check's outcome, or without a policy for it.

    Raises:
        InvalidValueError: It is so.
    """
    if (outcome is None) is not (policy is None):
        raise InvalidValueError("policy", "must be given with an outcome, and only with one")
    if outcome is not None and (
        outcome.tenant_id,
        outcome.monitor_id,
        outcome.location,
        outcome.scheduled_at,
    ) != (claimed.tenant_id, claimed.monitor_id, claimed.location, claimed.scheduled_at):
        raise InvalidValueError("outcome", "must be of the check that was claimed")
