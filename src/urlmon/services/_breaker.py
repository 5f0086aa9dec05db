"""Decides when a store that failed is tried again."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

_FIRST: Final = 0.1
_LONGEST: Final = 30.0
_DOUBLINGS: Final = 10
# What a server may ask for; a wrong header must not hold results for a year.
_LONGEST_ASKED: Final = 3_600.0


class Breaker:
    """Waits after a failure: at random up to a time that doubles, 30 seconds at most (full jitter).

    While it is open nothing is sent; then one small batch is, and what becomes of that decides.

    Attributes:
        retry_at: When to try again, by the clock that failures are dated by.
        problem: What failed; None while all is well.
    """

    __slots__ = ("_failures", "problem", "retry_at")

    def __init__(self) -> None:
        self._failures = 0
        self.retry_at = 0.0
        self.problem: str | None = None

    @property
    def closed(self) -> bool:
        """Whether all is well."""
        return self.problem is None

    def failed(self, now: float, problem: str, *, retry_after: timedelta | None = None) -> None:
        """Note a failure; of what was sent together only the first one counts."""
        asked = 0.0 if retry_after is None else min(retry_after.total_seconds(), _LONGEST_ASKED)
        if self.closed or now >= self.retry_at:
            longest = min(_LONGEST, _FIRST * 2 ** min(self._failures, _DOUBLINGS))
            self.retry_at = now + random.uniform(0, longest)  # noqa: S311 - no secret
            self._failures += 1
        self.problem = problem
        self.retry_at = max(self.retry_at, now + asked)

    def succeeded(self) -> None:
        """Note that the store took something."""
        self._failures = 0
        self.problem = None
