"""The port for results that wait until a store can take them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Protocol

from urlmon.domain.check_results import CheckResult
from urlmon.domain.spool import Spooled, SpoolStatus


class Spool(Protocol):
    """Keeps check results through crashes and power loss until they are settled, oldest first.

    One process holds a spool at a time, and one store's results wait in it.  What was appended is
    handed out again after a restart unless it was settled: at least once, which is enough as every
    store takes a result twice.  Damage is skipped, told of, and kept aside; what is intact behind
    it is handed out all the same.

    `append`, `read` and `bury` raise `UnavailableError` where the disk refuses.  What `append` then
    failed to put in is not handed out before the next opening, and possibly not then.  Only `open`
    and `close` may be called in any state; the others need an open spool.
    """

    __slots__ = ()

    @abstractmethod
    async def open(self) -> SpoolStatus:
        """Take the spool over from whoever had it last; find what is intact.

        Raises:
            ConfigurationError: The place cannot be used, or others than the owner may look into it.
            UnavailableError: Another process holds it, or the disk refuses; call again later.
        """

    @abstractmethod
    async def append(self, results: Sequence[CheckResult]) -> int | None:
        """Put 1 to 5,000 results in, as one entry, and return its number once they are safe.

        Returns:
            The number; None if the limit leaves no room, and nothing was put in.

        Raises:
            InvalidValueError: There are none, more than 5,000, or one is no `CheckResult`.
        """

    @abstractmethod
    async def read(
        self, *, after: int, without: Collection[int] = (), limit: int = 5_000
    ) -> tuple[Spooled, ...]:
        """Return entries that are not settled, oldest first.

        Args:
            after: Only those with a higher number; 0 for all.
            without: Numbers to leave out.
            limit: Stop before there would be more results; but the first entry is always returned.
        """

    @abstractmethod
    async def settle(self, numbers: Collection[int]) -> None:
        """Let entries go: they are not handed out again.  Unknown and settled ones are passed over.

        Repeatable.  A crash of the machine can bring them back; a disk that refuses, too.
        """

    @abstractmethod
    async def bury(self, results: Sequence[CheckResult], *, reason: str) -> None:
        """Put results that no store will take aside for a person, with the reason; safe on return.

        They stay in the entry they are in: settle that afterwards.
        """

    @abstractmethod
    def status(self) -> SpoolStatus:
        """Return how it is, without waiting."""

    @abstractmethod
    async def close(self) -> None:
        """Give the spool up.  Repeatable."""
