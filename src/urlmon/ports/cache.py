"""The port for values that can be worked out again."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import Protocol

from urlmon.domain.caching import Load
from urlmon.domain.ids import TenantId


class Cache(Protocol):
    """Keeps values for a while, so that they need not be worked out each time.

    A value is `bytes`, up to 1 MiB: what they mean is the caller's.  It is kept under a tenant, a
    namespace of 1 to 100 characters and a key of 1 to 200, and ends up to a tenth before its `ttl`
    is over, by chance, so that what was set together does not end together.  A `ttl` is 1 second to
    30 days in whole milliseconds.  A store may lose a value at any time.

    Without its store a cache is slow and not wrong: `get`, `set` and `get_or_load` raise no
    `StoreError` of their own, the adapter logs what went wrong.  `delete` and `invalidate` raise
    `UnavailableError`, and must then be made again: otherwise a value that is no longer true would
    be served as soon as the store is back.  `InvalidValueError` is raised, before anything is sent,
    for an argument out of its range.
    """

    __slots__ = ()

    @abstractmethod
    async def get(self, tenant_id: TenantId, namespace: str, key: str) -> bytes | None:
        """Return the value; None where there is none, or where it is kept that there is nothing."""

    @abstractmethod
    async def set(
        self, tenant_id: TenantId, namespace: str, key: str, *, value: bytes, ttl: timedelta
    ) -> bool:
        """Keep a value, in place of what is kept; a load that goes on is not kept.  Repeatable.

        It is kept also when it was worked out before an `invalidate` or `delete` that has come
        first; only `get_or_load` sees that.

        Returns:
            Whether it is kept for sure.  If not, what was kept before can still be there: where it
            must not be served, it is to be deleted.
        """

    @abstractmethod
    async def delete(self, tenant_id: TenantId, namespace: str, key: str) -> None:
        """Drop a value; a load of it that goes on is not kept.  Repeatable.

        Raises:
            UnavailableError: It may be kept still.
        """

    @abstractmethod
    async def get_or_load(
        self,
        tenant_id: TenantId,
        namespace: str,
        key: str,
        *,
        load: Load,
        ttl: timedelta,
        nothing_ttl: timedelta = timedelta(seconds=5),
    ) -> bytes | None:
        """Return the value, or load it and keep it.

        Callers that come while a load goes on wait for it: all of this process, through this
        object, however long it takes, those of other processes for up to 5 seconds.  The load of
        the first of them runs in a task of its own, which ends with the last that waits: cancelling
        one fails no other.  An error of the load is raised to all who wait in this process, and
        nothing is kept.

        No answer is older than the call: a value that was loaded, or asked for, before a `delete`
        or `invalidate` is not given to who calls after it, and is not kept.  What took longer than
        10 minutes to load need not be kept either.  A load should have a time limit of its own.

        Args:
            tenant_id: Whose value it is.
            namespace: What it is invalidated with.
            key: Which one it is.
            load: Works the value out; None says that there is nothing.
            ttl: How long to keep a value that was loaded.
            nothing_ttl: How long to keep that there is nothing; should be the shorter one.

        Returns:
            The value; None where there is nothing.

        Raises:
            InvalidValueError: What was loaded is no value; it is not kept.
        """

    @abstractmethod
    async def invalidate(self, tenant_id: TenantId, namespace: str) -> None:
        """Drop all values of a namespace, however many, in one step.  Repeatable.

        Loads that go on are not kept.

        Raises:
            UnavailableError: They may be kept still.
        """
