"""The port through which alerters take over transitions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.transitions import ClaimedTransition, DeadLetter


class TransitionOutbox(Protocol):
    """Hands transitions over to alerters, each at least once.

    `AlertStateCache` fills it, and `claim` does with what no outcome decides.  It serves all
    tenants; each transition names its own.  Every call can raise `UnavailableError`, and may then
    be made again.
    """

    __slots__ = ()

    @abstractmethod
    async def claim(
        self, *, request_id: str, limit: int = 10, lease: timedelta = timedelta(seconds=30)
    ) -> tuple[ClaimedTransition, ...]:
        """Lease transitions that are due, oldest first for each monitor.

        A transition is due while it is neither settled nor leased; one whose lease ended is due
        again.  Of each monitor one is handed over at a time, in their order: after every earlier
        one was settled or given up.  So an alert that begins finds the one before it ended.  One
        that was claimed ten times becomes a dead letter when its tenth lease has ended.

        First of all, what is owed by the store's clock although no outcome came is put in, each in
        one step with the state it comes from (`AlertState.owed`): reminders, triggers that a
        suppression held back, and what flapping held back.  There is one reminder for each interval
        however many ask, and none while anything of the monitor is still to be settled: the next is
        due one interval later.  When an alert ends, its reminder is taken out; one that is leased
        then comes before the end, or is dropped when its lease ends.  Of very many monitors to
        which something is owed some have to wait for the next claim.

        Repeatable by `request_id`: while its leases last, the same request gets the same
        transitions again, less those settled since, and no others.

        Args:
            request_id: 1 to 100 characters, new for every claim and repeated with it.
            limit: At most so many, 1 to 100.
            lease: How long, 10 ms to 24 hours in whole milliseconds.

        Raises:
            InvalidValueError: An argument is out of its range.
        """

    @abstractmethod
    async def settle(self, claimed: ClaimedTransition) -> None:
        """Note that a transition was acted on: it is not handed over again.

        Repeatable, also after the lease has ended, as long as nobody claimed it anew.

        Raises:
            LeaseLostError: Somebody else has claimed it since, or it is a dead letter.
        """

    @abstractmethod
    async def release(self, claimed: ClaimedTransition, *, delay: timedelta) -> None:
        """Give a transition back, to be due after a delay; its attempt counts.

        Repeatable.

        Raises:
            LeaseLostError: Somebody else has claimed it since, or it was settled or given up.
            InvalidValueError: The delay is not from 0 to 24 hours in whole milliseconds.
        """

    @abstractmethod
    async def backlog(self) -> int:
        """Return how many transitions are neither settled nor dead letters."""

    @abstractmethod
    async def on_the_way(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> frozenset[MonitorId]:
        """Return those of up to 1,000 monitors with transitions neither settled nor dead letters.

        Until the next claim one may be named whose last transition became a dead letter by its
        lease's end.  Atomic for each monitor, not across them.

        Raises:
            InvalidValueError: More than 1,000 ids are given, or `tenant_id` is no `TenantId`.
        """

    @abstractmethod
    async def dead_letters(self, *, limit: int = 100) -> tuple[DeadLetter, ...]:
        """Return the newest dead letters, newest first.

        Raises:
            InvalidValueError: The limit is not from 1 to 1,000.
        """
