"""A million results through the encoder and the real server: none is changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

import pytest
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
from urlmon.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.fixtures.campaign import CampaignSize, Progress

    from urlmon_adapters.influx import Influx

HOUR_US: Final = 3_600_000_000
MICROSECOND: Final = timedelta(microseconds=1)
KINDS: Final = list(ErrorKind)
SPECIAL: Final = "\\\"'\n\r\t,= #$%{}`\u2028\u0085\ufeff\U0001f525\x01\x7f\u00df"
EXPIRY: Final = datetime(1950, 1, 1, tzinfo=UTC)
EXPIRIES_US: Final = (datetime(9999, 1, 1, tzinfo=UTC) - EXPIRY) // MICROSECOND


def a_time(random: Random) -> int | None:
    """Make a number of microseconds: none, small, at an edge, or any."""
    return random.choice([None, 0, 1, HOUR_US, HOUR_US - 1, random.randrange(HOUR_US)])


def a_text(random: Random) -> str:
    """Make a message: empty, of nothing but what is special, of anything, or very long."""
    anything = chr(random.choice([random.randrange(1, 0xD800), random.randrange(0xE000, 0x110000)]))
    return random.choice(
        [
            "",
            "".join(random.choices(SPECIAL, k=random.randrange(1, 12))),
            f"{anything}{random.choice(SPECIAL)}{anything}",
            random.choice(SPECIAL) * LONGEST_MESSAGE if random.random() < 0.01 else "timed out",
        ]
    )


def a_result(
    random: Random, monitor_id: MonitorId, tenant_id: TenantId, at: datetime
) -> CheckResult:
    """Make any result there can be."""
    failed = random.random() < 0.3
    return CheckResult(
        tenant_id=tenant_id,
        monitor_id=monitor_id,
        location=random.choice(["a", "0", "z.9_-", "x" * 63, "eu-central-1"]),
        scheduled_at=at,
        checked_at=at + random.randrange(-HOUR_US, HOUR_US) * MICROSECOND,
        error=CheckError(kind=random.choice(KINDS), message=a_text(random)) if failed else None,
        status_code=random.choice([None, 100, 599, random.randrange(100, 600)]),
        response_time_us=a_time(random),
        phases=Phases(
            dns_us=a_time(random),
            connect_us=a_time(random),
            tls_us=a_time(random),
            ttfb_us=a_time(random),
            transfer_us=a_time(random),
        ),
        tls_expires_at=random.choice([None, EXPIRY + random.randrange(EXPIRIES_US) * MICROSECOND]),
        size_bytes=random.choice([None, 0, 2**40, random.randrange(2**40)]),
    )


@pytest.mark.campaign
async def test_nothing_is_changed(
    influx: Influx, campaign_size: CampaignSize, progress: Progress
) -> None:
    """What comes back is what was recorded, in every field, and as many."""
    size = campaign_size(1_000_000)
    random = Random(size)  # noqa: S311 - not a secret
    clock = FakeClock()
    recording = stores(influx, clock)
    period = Period(since=clock.now() - timedelta(hours=1), until=clock.now() + MICROSECOND)
    tenant_id = TenantId.new()
    for start in range(0, size, MAX_BATCH):
        monitor_id = MonitorId.new()
        instants = random.sample(range(HOUR_US), min(MAX_BATCH, size - start))
        batch = [
            a_result(random, monitor_id, tenant_id, clock.now() - us * MICROSECOND)
            for us in instants
        ]
        assert await recording.results.record(batch) == (STORED,) * len(batch)
        found: list[CheckResult] = []
        cursor = None
        while cursor is not None or not found:
            page = await recording.results.history(
                tenant_id, [monitor_id], period=period, cursor=cursor, limit=1_000
            )
            found += page.items
            cursor = page.next_cursor
        assert found == sorted(batch, key=lambda each: each.scheduled_at, reverse=True)
        progress(start + len(batch), size)
