"""What is written is what a real server gives back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fixtures.influx import stores

from urlmon.domain.check_results import (
    LONGEST_MESSAGE,
    MAX_BATCH,
    CheckError,
    CheckResult,
    ErrorKind,
    Phases,
)
from urlmon.domain.fates import STORED
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.testing.builders import a_result
from urlmon.testing.clock import FakeClock
from urlmon_adapters.influx._lines import instant, microseconds

if TYPE_CHECKING:
    from urlmon.testing.contracts.stores import ResultStores
    from urlmon_adapters.influx import Influx

MICROSECOND = timedelta(microseconds=1)
HOUR_US = 3_600_000_000
TENANT, MONITOR = TenantId.new(), MonitorId.new()

# What means something in the line protocol, or to JSON, comes often.
SPECIAL = st.sampled_from(
    [*"\\\"\n\r\t,= #'$%{}\u2028\u0085\ufeff\U0001f525", "\\\\", '\\"', "\\\n"]
)
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
MESSAGES = st.lists(SPECIAL | CHARACTERS, max_size=LONGEST_MESSAGE // 2).map("".join)
TIMES = st.none() | st.integers(0, HOUR_US)
INSTANTS = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(2199, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)
EXPIRIES = st.datetimes(
    min_value=datetime(1950, 1, 1),  # noqa: DTZ001
    max_value=datetime.max,  # noqa: DTZ901
    timezones=st.just(UTC),
)
RESULTS = st.builds(
    CheckResult,
    tenant_id=st.just(TENANT),
    monitor_id=st.just(MONITOR),
    location=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True),
    scheduled_at=st.integers(0, 90 * 86_400_000_000).map(
        lambda us: FakeClock().now() - us * MICROSECOND
    ),
    checked_at=INSTANTS,
    error=st.none() | st.builds(CheckError, kind=st.sampled_from(ErrorKind), message=MESSAGES),
    status_code=st.none() | st.integers(100, 599),
    response_time_us=TIMES,
    phases=st.builds(
        Phases, dns_us=TIMES, connect_us=TIMES, tls_us=TIMES, ttfb_us=TIMES, transfer_us=TIMES
    ),
    tls_expires_at=st.none() | EXPIRIES,
    size_bytes=st.none() | st.integers(0, 2**40),
)


@pytest.fixture
def recording(influx: Influx) -> ResultStores:
    """The real adapters at noon of a day."""
    return stores(influx, FakeClock())


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(results=st.lists(RESULTS, min_size=1, max_size=60, unique_by=lambda each: each.identity))
async def test_any_result_comes_back(recording: ResultStores, results: list[CheckResult]) -> None:
    """Whatever a result holds, the server gives back exactly that."""
    assert await recording.results.record(results) == (STORED,) * len(results)
    period = Period(
        since=recording.clock.now() - timedelta(days=91),
        until=recording.clock.now() + timedelta(days=1),
    )
    page = await recording.results.history(TENANT, [MONITOR], period=period, limit=1_000)
    await recording.results.forget_monitor(TENANT, MONITOR)
    assert page.items == tuple(
        sorted(results, key=lambda each: (-microseconds(each.scheduled_at), each.location))
    )


async def test_ten_thousand_microseconds(recording: ResultStores) -> None:
    """Ten thousand random instants come back to the microsecond, none twice and none lost."""
    tenant, monitor = TenantId.new(), MonitorId.new()
    now = recording.clock.now()
    random = Random(20_260_615)  # noqa: S311 - not a secret
    span = 90 * 86_400_000_000
    given = [now - us * MICROSECOND for us in random.sample(range(span), 2 * MAX_BATCH)]
    for half in (given[:MAX_BATCH], given[MAX_BATCH:]):
        batch = [
            a_result(tenant, monitor, scheduled_at=at, checked_at=at, tls_expires_at=at)
            for at in half
        ]
        assert await recording.results.record(batch) == (STORED,) * MAX_BATCH
    period = Period(since=now - timedelta(days=90), until=now + MICROSECOND)
    found: list[CheckResult] = []
    cursor = None
    while cursor is not None or not found:
        page = await recording.results.history(
            tenant, [monitor], period=period, cursor=cursor, limit=1_000
        )
        found += page.items
        cursor = page.next_cursor
    expected = sorted(given, reverse=True)
    assert [each.scheduled_at for each in found] == expected
    assert [each.checked_at for each in found] == expected
    assert [each.tls_expires_at for each in found] == expected


async def test_no_instant_stands_for_none(recording: ResultStores) -> None:
    """A certificate that ended a microsecond before 1970 did end."""
    at = recording.clock.now()
    result = a_result(TENANT, MONITOR, scheduled_at=at, tls_expires_at=instant(-1))
    await recording.results.record([result])
    assert await recording.results.latest(TENANT, [MONITOR]) == {MONITOR: result}


@given(at=INSTANTS | EXPIRIES)
def test_instants_are_exact(at: datetime) -> None:
    """An instant is a whole number of microseconds, and comes back from it."""
    assert instant(microseconds(at)) == at
