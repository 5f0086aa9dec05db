"""The rules of failures in a row."""

from __future__ import annotations

from datetime import timedelta

import pytest

from urlmon.domain.counters import (
    MAX_FAILURES,
    NO_COUNT,
    FailureCount,
    count,
    count_ttl,
    reset,
)
from urlmon.errors import InvalidValueError
from urlmon.testing.clock import NOON

MINUTE = timedelta(minutes=1)


def test_a_count_stops_at_its_limit() -> None:
    """A count that cannot grow stays, and its watermark goes on."""
    full = FailureCount(failures=MAX_FAILURES, watermark=NOON)
    after = count(full, scheduled_at=NOON + MINUTE, success=False)
    assert after == FailureCount(failures=MAX_FAILURES, watermark=NOON + MINUTE)


def test_nothing_known_is_not_no_failure() -> None:
    """A count of 0 that was recorded differs from one that is not known."""
    assert count(NO_COUNT, scheduled_at=NOON, success=True) != NO_COUNT
    assert reset(NO_COUNT, until=NOON) == FailureCount(failures=0, watermark=NOON)


def test_a_count_outlives_its_failures() -> None:
    """What `count_ttl` gives is more than the time that the failures take."""
    for threshold in (1, 3, 20):
        assert count_ttl(MINUTE, threshold) > threshold * MINUTE


@pytest.mark.parametrize("failures", [-1, MAX_FAILURES + 1, 1.0, True])
def test_impossible_counts(failures: object) -> None:
    """A number of failures that cannot be is refused."""
    with pytest.raises(InvalidValueError):
        FailureCount(failures=failures)  # type: ignore[arg-type]
