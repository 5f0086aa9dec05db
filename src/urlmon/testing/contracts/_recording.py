"""What the contracts of check results and of statistics share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from urlmon.domain.check_results import LONGEST_MESSAGE, CheckError, CheckResult, ErrorKind, Phases
from urlmon.domain.fates import CLOCK_TOLERANCE
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.testing.builders import a_result
from urlmon.testing.contracts.stores import ResultStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS

RETENTION = timedelta(days=90)
MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
HOUR_US = 3_600_000_000
BOOM = CheckError(kind=ErrorKind.STATUS, message="500")

# In code point order; every language's own order puts them otherwise.
LOCATIONS = ("a", "a-z", "a.z", "a0", "a_z", "aa", "eu-1", "eu.1", "eu1", "eu_1")

MESSAGES = (
    *HOSTILE_TEXTS,
    "",
    " ",
    "#",
    "# no comment",
    '"',
    "\\",
    "\n",
    "\r",
    'ends with \\"',
    "ends with \\",
    "comma, space and = sign",
    "\v\f\x80\x9f\u2028\u2029\ufffe\uffff",
    "\\" * LONGEST_MESSAGE,
    '"' * LONGEST_MESSAGE,
    "\U0001f525" * LONGEST_MESSAGE,
)

EMPTY: dict[str, object] = {"status_code": None, "response_time_us": None}
ZERO: dict[str, object] = {
    "status_code": 100,
    "response_time_us": 0,
    "phases": Phases(dns_us=0, connect_us=0, tls_us=0, ttfb_us=0, transfer_us=0),
    "tls_expires_at": datetime(1950, 1, 1, tzinfo=UTC),
    "size_bytes": 0,
    "checked_at": datetime(2000, 1, 1, tzinfo=UTC),
}
FULL: dict[str, object] = {
    "status_code": 599,
    "response_time_us": HOUR_US,
    "phases": Phases(
        dns_us=HOUR_US,
        connect_us=HOUR_US - 1,
        tls_us=HOUR_US - 2,
        ttfb_us=HOUR_US - 3,
        transfer_us=HOUR_US - 4,
    ),
    "tls_expires_at": datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "size_bytes": 2**40,
    "checked_at": datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
}
"""Every field that is not part of the identity: none, the least and the most that it may be."""


def whole_span(recording: ResultStores) -> Period:
    """Return the period of everything that the store may hold."""
    now = recording.clock.now()
    return Period(since=now - RETENTION, until=now + CLOCK_TOLERANCE + MICROSECOND)


async def record(recording: ResultStores, *results: CheckResult) -> None:
    """Record results, all of which must be stored."""
    fates = await recording.results.record(results)
    assert [fate.refusal for fate in fates] == [None] * len(results)


async def everything(
    recording: ResultStores, tenant_id: TenantId, monitor_id: MonitorId
) -> tuple[CheckResult, ...]:
    """Return all results of a monitor, up to 1,000."""
    page = await recording.results.history(
        tenant_id, [monitor_id], period=whole_span(recording), limit=1_000
    )
    assert page.next_cursor is None
    return page.items


def some_results(
    recording: ResultStores, tenant_id: TenantId, monitor_id: MonitorId, *, seed: int
) -> list[CheckResult]:
    """Make up to 200 results of every sort, in the last two hours and a little around them."""
    random = Random(seed)  # noqa: S311 - not a secret
    now = recording.clock.now()
    made = [
        a_result(
            tenant_id,
            monitor_id,
            scheduled_at=now - random.randrange(-4, 125) * MINUTE,
            location=random.choice(LOCATIONS),
            response_time_us=random.choice([None, 0, random.randrange(5_000_000)]),
            error=BOOM if random.random() < 0.2 else None,
            phases=Phases(
                dns_us=random.choice([None, 0, random.randrange(9_000)]),
                tls_us=random.choice([None, random.randrange(90_000)]),
                transfer_us=HOUR_US,
            ),
        )
        for _ in range(200)
    ]
    return list({result.identity: result for result in made}.values())


async def a_history(
    recording: ResultStores, tenant_id: TenantId, monitor_id: MonitorId
) -> tuple[CheckResult, ...]:
    """Record three instants of ten locations each, every third failed; return them in order."""
    now = recording.clock.now()
    history = [
        a_result(
            tenant_id,
            monitor_id,
            scheduled_at=at,
            location=location,
            response_time_us=number,
            error=BOOM if number % 3 == 0 else None,
        )
        for at in (now, now - MICROSECOND, now - timedelta(days=40))
        for number, location in enumerate(LOCATIONS)
    ]
    await record(recording, *history[::2], *reversed(history[1::2]))
    return tuple(history)
