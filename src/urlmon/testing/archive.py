"""The fake of `CheckResultArchive`."""

from __future__ import annotations

from bisect import bisect_right

from urlmon.domain.check_results import CheckResult, archive_key, archive_page, archive_position
from urlmon.domain.pages import Page, check_page_size
from urlmon.domain.periods import Period
from urlmon.ports import CheckResultArchive
from urlmon.testing.state import InMemoryState


class InMemoryCheckResultArchive(CheckResultArchive):
    """Reads the check results in the state that the fakes share."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def scan(
        self, *, period: Period, cursor: str | None = None, limit: int = 1_000
    ) -> Page[CheckResult]:
        check_page_size(limit)
        last = None if cursor is None else archive_position(cursor)
        async with self._state.faults.call("CheckResultArchive.scan"):
            results = sorted(
                (each for each in self._state.results.values() if each.scheduled_at in period),
                key=archive_key,
            )
            start = 0 if last is None else bisect_right(results, last, key=archive_key)
            return archive_page(results[start : start + limit + 1], limit)
