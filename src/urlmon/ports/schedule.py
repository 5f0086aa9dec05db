"""The port through which workers take over the checks that are due."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from urlmon.domain.alerting import AlertPolicy, Decision
from urlmon.domain.check_results import CheckOutcome
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.scheduling import ClaimedCheck, ScheduleBacklog, ScheduleEntry


class Schedule(Protocol):
    """Hands checks over when they are due, to any number of workers, each check to one at a time.

    A monitor is due at each of its locations, on its own grid (`urlmon.domain.scheduling.Grid`),
    however late a check was.  Locations do not wait for each other.  While nobody was there to
    check, checks are not piled up: one is made up for.  One that was claimed and neither completed
    nor released is due again when its lease has ended.

    A claim holds until somebody else claims the monitor, also after its lease has ended: what was
    done late counts, as long as it was not given to another.

    Each call is atomic for each monitor, not across them.  Every call can raise `UnavailableError`,
    and may then be made again.  While the working state is lost (`WorkingState`), `claim` and
    `complete` raise it and change nothing.
    """

    __slots__ = ()

    @abstractmethod
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
        """Schedule a monitor, or bring what is known of it up to a newer version.

        Where a location is new to it, it is first due at its next slot; at one that it no longer
        has it is due no more, and a claim on it is lost.  A changed interval moves it to the next
        slot of its new grid, unless it is due already or claimed: a claim stays as it is, and what
        follows is on the new grid.  Repeatable; an older version changes nothing.

        Args:
            tenant_id: The owner.
            monitor_id: What is to be checked.
            interval: Whole seconds from 1 s to 1 day.
            version: The version of the monitor's configuration, from 1.
            locations: From where, 1 to 20 as in `Monitor`.
            at_once: Whether it is due now where a location is new to it.

        Returns:
            Whether the version now known is this one; False where a newer one is, or was when the
            monitor was removed.

        Raises:
            InvalidValueError: An argument is out of its range, or `tenant_id` is no `TenantId`.
        """

    @abstractmethod
    async def seed(self, entries: Sequence[ScheduleEntry]) -> None:
        """Do for many monitors what `upsert` does, also while the working state is lost.

        Repeatable, and safe from many callers.

        Args:
            entries: Up to 1,000, such as a page of `MonitorDirectory.list_active` gives.

        Raises:
            InvalidValueError: More are given.
        """

    @abstractmethod
    async def remove(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Take a monitor off the schedule, at all locations; claims on it are lost.  Repeatable.

        For two days only `upsert` and `seed` with the version that was known, or a newer one, bring
        it back.  A worker that finds no such active monitor in the directory removes it as well.

        Raises:
            InvalidValueError: `tenant_id` is no `TenantId`.
        """

    @abstractmethod
    async def claim(
        self,
        *,
        request_id: str,
        location: str = "default",
        limit: int = 10,
        lease: timedelta = timedelta(seconds=30),
    ) -> tuple[ClaimedCheck, ...]:
        """Lease checks that are due at a location, those that have been due for longest first.

        Repeatable by `request_id` and location: while its first leases last, the same request gets
        the same checks again, less those that it no longer holds, and no others.  A request that
        got nothing is not remembered.

        Args:
            request_id: 1 to 100 characters, new for every claim and repeated with it.
            location: Where the worker is.
            limit: At most so many, 1 to 100.
            lease: How long, 10 ms to 24 hours in whole milliseconds.

        Returns:
            The claims, in order of `scheduled_at`.

        Raises:
            InvalidValueError: An argument is out of its range.
        """

    @abstractmethod
    async def renew(
        self, claims: Sequence[ClaimedCheck], *, lease: timedelta
    ) -> tuple[ClaimedCheck, ...]:
        """Hold on to claims for `lease` from now.  Repeatable.

        Args:
            claims: Up to 1,000.
            lease: How long, 10 ms to 24 hours in whole milliseconds.

        Returns:
            Those that still hold, in the order given; the others are lost.

        Raises:
            InvalidValueError: There are more claims, or the lease is out of its range.
        """

    @abstractmethod
    async def complete(
        self,
        claimed: ClaimedCheck,
        *,
        outcome: CheckOutcome | None = None,
        policy: AlertPolicy | None = None,
    ) -> Decision | None:
        """Note that a check was made: there the monitor is next due at its following slot.

        With an outcome, this and `AlertStateCache.record` are one step: a claim that was lost
        records nothing.  Repeatable: the repeat of an outcome is then a duplicate.

        Args:
            claimed: What was claimed.
            outcome: What the check found; of the same tenant, monitor, location and `scheduled_at`.
            policy: When that is an alert; goes with the outcome.

        Returns:
            The decision about the outcome; None where none is given.

        Raises:
            LeaseLostError: Somebody else has claimed it since, it was released, or the monitor or
                the location was removed.
            InvalidValueError: The outcome is of another check, or one is given without the other.
        """

    @abstractmethod
    async def release(self, claimed: ClaimedCheck, *, delay: timedelta) -> None:
        """Give a check back, to be due after a delay; its attempt counts.  Repeatable.

        Raises:
            LeaseLostError: Somebody else has claimed it since, it was completed, or the monitor or
                the location was removed.
            InvalidValueError: The delay is not from 0 to 24 hours in whole milliseconds.
        """

    @abstractmethod
    async def backlog(self, *, location: str = "default") -> ScheduleBacklog:
        """Return how many monitors are scheduled and due at a location, and how late that is.

        Raises:
            InvalidValueError: No location has this name.
        """
