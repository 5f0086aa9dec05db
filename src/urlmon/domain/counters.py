"""Failures in a row, counted by when the checks were due: pure rules, no storage."""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import evolve, field, frozen

from urlmon.domain._validators import check_milliseconds, instant, optional, to_utc_or_none, whole
from urlmon.errors import InvalidValueError

SHORTEST_COUNT = timedelta(seconds=1)
LONGEST_COUNT = timedelta(days=30)
MAX_FAILURES = 2**31 - 1


@frozen(kw_only=True)
class FailureCount:
    """How many checks of a monitor failed in a row.

    Attributes:
        failures: Since the last success or reset; it stops at 2,147,483,647.
        watermark: When the newest check that was counted was due.  None: nothing is known, which is
            not the same as no failure.
    """

    failures: int = field(default=0, validator=whole(0, MAX_FAILURES))
    watermark: datetime | None = field(
        default=None, converter=to_utc_or_none, validator=optional(instant)
    )


NO_COUNT = FailureCount()


def count(known: FailureCount, *, scheduled_at: datetime, success: bool) -> FailureCount:
    """Return the count after a check; the same one if that check, or a later one, is in it."""
    if known.watermark is not None and scheduled_at <= known.watermark:
        return known
    failures = 0 if success else min(known.failures + 1, MAX_FAILURES)
    return FailureCount(failures=failures, watermark=scheduled_at)


def reset(known: FailureCount, *, until: datetime) -> FailureCount:
    """Return the count without the checks due up to `until`; the same one if a later is in it."""
    if known.watermark is not None and until < known.watermark:
        return known
    return evolve(known, failures=0, watermark=until)


def count_ttl(interval: timedelta, threshold: int) -> timedelta:
    """Return how long to keep the count of a monitor that is checked at an interval.

    One interval more than `threshold` failures take: the count never ends between two checks, and
    a monitor that is checked no more does not leave it behind.
    """
    return interval * (threshold + 1)


def check_seed(count: FailureCount) -> datetime:
    """Return the watermark of a count that is to be stored.

    Raises:
        InvalidValueError: It has none.
    """
    if count.watermark is None:
        raise InvalidValueError("count", "must have a watermark")
    return count.watermark


def check_count_ttl(ttl: object) -> timedelta:
    """Return how long a count is kept: 1 second to 30 days in whole milliseconds.

    Raises:
        InvalidValueError: It is no such duration.
    """
    return check_milliseconds("ttl", ttl, SHORTEST_COUNT, LONGEST_COUNT, "1 second to 30 days")
