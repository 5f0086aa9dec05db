"""What a spool holds, and how it is."""

from __future__ import annotations

from attrs import field, frozen

from urlmon.domain.check_results import CheckResult


@frozen(kw_only=True)
class Spooled:
    """What one call put into a spool.

    Attributes:
        number: Its place in the spool: higher than that of anything older that waits.
        count: How many results were put in.
        results: Those; none of them where the record is damaged, and then it is kept aside.
    """

    number: int
    count: int
    results: tuple[CheckResult, ...] = field(repr=False)

    @property
    def damaged(self) -> bool:
        """Whether the results cannot be read any more."""
        return len(self.results) != self.count


@frozen(kw_only=True)
class SpoolStatus:
    """How a spool is.

    Attributes:
        entries: Calls whose results are not settled yet.
        results: Their results.
        size_bytes: The room that is taken, up to the limit.
        limit_bytes: The limit.
        damaged: Places that could not be read since the spool was opened; what stood there is kept
            aside.
        dead: Results that were buried since the spool was opened.
        aside_bytes: What dead letters and damaged places take in the spool's folder, in all.
    """

    entries: int
    results: int
    size_bytes: int
    limit_bytes: int
    damaged: int = 0
    dead: int = 0
    aside_bytes: int = 0
