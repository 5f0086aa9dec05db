"""Check results for hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind, Phases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from urlmon.domain.ids import MonitorId, TenantId

MICROSECOND = timedelta(microseconds=1)
_HOUR_US = 3_600_000_000


def instants(first: datetime, last: datetime) -> st.SearchStrategy[datetime]:
    """Make instants of UTC from one to another."""
    return st.datetimes(
        first.replace(tzinfo=None), last.replace(tzinfo=None), timezones=st.just(UTC)
    )


supported = instants(
    datetime(2000, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
)
expiries = instants(datetime(1950, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
locations = st.sampled_from(["a", "a-b", "a.b", "ab", "b"])
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=9)
errors = st.builds(
    CheckError,
    kind=st.sampled_from(ErrorKind),
    message=st.sampled_from(["", "boom", "'\\"]) | texts,
)
microseconds = st.none() | st.integers(0, 5) | st.integers(0, _HOUR_US)


def results(
    tenant_ids: Sequence[TenantId],
    monitor_ids: Sequence[MonitorId],
    due: st.SearchStrategy[datetime],
) -> st.SearchStrategy[CheckResult]:
    """Make results of some monitors, each due at one of some instants."""
    return st.builds(
        CheckResult,
        tenant_id=st.sampled_from(tenant_ids),
        monitor_id=st.sampled_from(monitor_ids),
        location=locations,
        scheduled_at=due,
        checked_at=due | supported,
        error=st.none() | errors,
        status_code=st.none() | st.integers(100, 599),
        response_time_us=microseconds,
        phases=st.builds(Phases, dns_us=microseconds, tls_us=microseconds, ttfb_us=microseconds),
        tls_expires_at=st.none() | expiries,
        size_bytes=st.none() | st.integers(0, 2**40),
    )


def plain_results(
    tenant_ids: Sequence[TenantId],
    monitor_ids: Sequence[MonitorId],
    due: st.SearchStrategy[datetime],
) -> st.SearchStrategy[CheckResult]:
    """Make results with no more than what is counted; quicker, and alike more often."""
    kinds = [ErrorKind.DNS, ErrorKind.TLS, ErrorKind.STATUS]
    failures = [
        CheckError(kind=kind, message=message) for kind in kinds for message in ("", "boom")
    ]
    return st.builds(
        lambda owner, monitor_id, at, location, error, time: CheckResult(
            tenant_id=owner,
            monitor_id=monitor_id,
            location=location,
            scheduled_at=at,
            checked_at=at,
            error=error,
            response_time_us=time,
        ),
        st.sampled_from(tenant_ids),
        st.sampled_from(monitor_ids),
        due,
        locations,
        st.sampled_from([None] * 10 + failures),
        st.sampled_from([None, 0, 1, 2, 3, 70, 70, _HOUR_US]),
    )
