"""The port for the check results of all tenants, to copy them from one store to another."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from urlmon.domain.check_results import CheckResult
from urlmon.domain.pages import Page
from urlmon.domain.periods import Period


class CheckResultArchive(Protocol):
    """Reads the results of every tenant, for the operator; no service of a tenant needs it."""

    __slots__ = ()

    @abstractmethod
    async def scan(
        self, *, period: Period, cursor: str | None = None, limit: int = 1_000
    ) -> Page[CheckResult]:
        """Return the results of all tenants that are due in a period, oldest first.

        In order of `scheduled_at`, tenant, monitor and location.  Where a failure outranked a
        success, the failure alone is there.  What is recorded meanwhile is seen where it belongs
        behind the cursor.

        Args:
            period: Which results, by `scheduled_at`.
            cursor: `next_cursor` of the page before; the period may change under way.
            limit: Items of a page, 1 to 1,000.

        Raises:
            InvalidValueError: The limit is out of range, or the cursor is not from an archive.
            CorruptDataError: A row is not what this version writes.
            UnavailableError: The call may be made again.
        """
