"""The port for locks with a time limit."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol

from urlmon.domain.leases import Lease


class Locks(Protocol):
    """Leases names, each to one holder at a time.

    A lock here spares work; it does not by itself make anything safe.  A holder that was paused can
    act after its lease ended, and a store that lost its data can lease a name twice.  What must not
    happen twice is guarded by the lease's fence, checked where the write happens.

    Locks are not reentrant, and none is without a time limit.  Names are the application's own and
    shared by all tenants.  Every call can raise `UnavailableError`, and may then be made again.
    """

    __slots__ = ()

    @abstractmethod
    async def acquire(
        self, name: str, *, ttl: timedelta, wait: timedelta = timedelta(0)
    ) -> Lease | None:
        """Lease a name.

        A call that was cancelled or failed leaves nothing that outlives `ttl`.

        Args:
            name: 1 to 200 characters.
            ttl: How long, 10 ms to 24 hours in whole milliseconds.
            wait: How long to wait while somebody else holds it, 0 to 1 hour.

        Returns:
            The lease; None if somebody else held it for all of `wait`.

        Raises:
            InvalidValueError: An argument is out of its range.
        """

    @abstractmethod
    async def renew(self, lease: Lease, *, ttl: timedelta) -> Lease:
        """Hold on for `ttl` from now, with the same token and fence.  Repeatable.

        Raises:
            LeaseLostError: The lease is over.
            InvalidValueError: The ttl is out of its range.
        """

    @abstractmethod
    async def release(self, lease: Lease) -> None:
        """Give the name back, if this lease still holds it.  Repeatable."""

    @abstractmethod
    def remaining(self, lease: Lease) -> timedelta:
        """Return for how long a lease surely lasts yet, by the local clock; zero when it is over.

        It is counted from before the lease was asked for, or renewed, and asks no store: a lease
        that was released, or lost with the data of the store, looks as if it lasted.
        """

    @abstractmethod
    def hold(
        self,
        name: str,
        *,
        ttl: timedelta,
        wait: timedelta = timedelta(0),
        lost: asyncio.Event | None = None,
    ) -> AbstractAsyncContextManager[Lease | None]:
        """Hold a name while a block runs, renewing it every third of `ttl`.

        The block is given the lease, or None if the name could not be had.  When the lease is lost,
        by the local clock and without needing the store, the block is cancelled, or told by an
        event, and `LeaseLostError` is raised from the `async with` when the block has ended.  An
        exception of the block itself passes.

        Args:
            name: As for `acquire`; so are `ttl` and `wait`.
            ttl: How long the lease outlives a holder who vanished.
            wait: How long to wait for the name.
            lost: Is set when the lease is lost, and the block is then not cancelled: for work that
                must come to an end of its own.  What the block does after that, it does unlocked.

        Raises:
            LeaseLostError: The lease was lost while the block ran.
            InvalidValueError: An argument is out of its range.
        """
