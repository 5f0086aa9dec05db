"""The port that tells whether the working state is still there."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class WorkingState(Protocol):
    """Knows whether alert states, transitions, the schedule and failure counts were lost.

    A store that holds the working state can be emptied: then it is *not whole*, as it is before it
    was first used.  Nothing may begin from nothing there: an alert that is open in the record would
    never be resolved, or be opened twice.  So until somebody has repaired it
    (`urlmon.services.upkeep`),

    - `AlertStateCache.record`, `replace`, `suppress`, `acknowledge` and `forget`,
      `Schedule.claim` and `complete`, `FailureCounters.record` and `reset` change nothing and raise
      `UnavailableError`, whose detail says so;
    - what was lost reads as unknown;
    - `Schedule.upsert`, `seed` and `remove` work, and so do `AlertStateCache.seed` and
      `FailureCounters.seed`.

    Sessions, locks and cached values just end; a deny list denies what it may have forgotten.

    Every call can raise `UnavailableError`, and may then be made again.
    """

    __slots__ = ()

    @abstractmethod
    async def is_whole(self) -> bool:
        """Say whether nothing was lost since it was last repaired."""

    @abstractmethod
    async def origin(self) -> str:
        """Return what names the servers that hold it, each since it was started.

        Where this has changed, it may have come back with older data, though it is whole.
        """

    @abstractmethod
    async def begin_repair(self, repair_id: str) -> bool:
        """Begin to repair what was lost.

        Another repair that goes on cannot be finished any more.  Repeatable.

        Args:
            repair_id: 1 to 100 characters, new for every repair.

        Returns:
            Whether there is something to repair.

        Raises:
            InvalidValueError: The id is out of its limits.
        """

    @abstractmethod
    async def finish_repair(self, repair_id: str) -> bool:
        """Declare the working state whole, after all was seeded.  Repeatable.

        Returns:
            Whether it is whole now.  False where something was lost again since this repair began,
            or another began after it: then begin anew.

        Raises:
            InvalidValueError: The id is out of its limits.
        """
