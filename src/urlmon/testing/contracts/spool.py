"""The contract of `Spool`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind, Phases
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.spool import Spooled
from urlmon.errors import InvalidValueError
from urlmon.ports import Spool
from urlmon.testing.builders import a_result
from urlmon.testing.clock import NOON

LIMIT = 256 << 10
"""The limit of the spool under test, in bytes."""


def some_results(count: int = 3) -> tuple[CheckResult, ...]:
    """Make results that differ."""
    tenant_id, monitor_id = TenantId.new(), MonitorId.new()
    return tuple(
        a_result(tenant_id, monitor_id, scheduled_at=NOON + timedelta(microseconds=each))
        for each in range(count)
    )


def full_result() -> CheckResult:
    """Make a result with every field at an edge."""
    return CheckResult(
        tenant_id=TenantId.new(),
        monitor_id=MonitorId.new(),
        location="eu-west.1",
        scheduled_at=datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        checked_at=datetime(2000, 1, 1, tzinfo=UTC),
        error=CheckError(kind=ErrorKind.CONTENT, message="\\\n\t#é\u2028😀" * 62),
        status_code=599,
        response_time_us=3_600_000_000,
        phases=Phases(dns_us=0, connect_us=1, tls_us=2, ttfb_us=3_600_000_000, transfer_us=None),
        tls_expires_at=datetime(1950, 1, 1, tzinfo=UTC),
        size_bytes=2**40,
    )


async def all_of(spool: Spool) -> list[Spooled]:
    """Read everything that is not settled."""
    found: list[Spooled] = []
    while some := await spool.read(after=found[-1].number if found else 0):
        found += some
    return found


async def put(spool: Spool, results: Sequence[CheckResult]) -> int:
    """Append results; there is room."""
    number = await spool.append(results)
    assert number is not None
    return number


class SpoolContract:
    """What every spool does.  The fixture `spool` gives an empty one, closed, with `LIMIT`."""

    async def test_an_entry_comes_back_as_it_was(self, spool: Spool) -> None:
        """Every field of every result is the same, and so is their order."""
        await spool.open()
        results = (
            full_result(),
            *some_results(),
            CheckResult(
                tenant_id=TenantId.new(),
                monitor_id=MonitorId.new(),
                scheduled_at=NOON,
                checked_at=NOON,
            ),
        )
        number = await put(spool, results)
        assert await all_of(spool) == [Spooled(number=number, count=5, results=results)]

    async def test_oldest_first(self, spool: Spool) -> None:
        """Entries are handed out in the order in which they came, from a number on."""
        await spool.open()
        batches = [some_results() for _ in range(4)]
        numbers = [await put(spool, batch) for batch in batches]
        assert numbers == sorted(set(numbers))
        assert [each.results for each in await all_of(spool)] == batches
        assert [each.number for each in await spool.read(after=numbers[1])] == numbers[2:]

    async def test_limit_of_results(self, spool: Spool) -> None:
        """A read ends before it would hold more results, but has one entry at least."""
        await spool.open()
        numbers = [await put(spool, some_results(3)) for _ in range(3)]
        assert [each.number for each in await spool.read(after=0, limit=6)] == numbers[:2]
        assert [each.number for each in await spool.read(after=0, limit=5)] == numbers[:1]
        assert [each.number for each in await spool.read(after=0, limit=1)] == numbers[:1]

    async def test_skipped_and_settled_entries_are_left_out(self, spool: Spool) -> None:
        """What is to be left out, or was settled, is passed over; settling twice does nothing."""
        await spool.open()
        first, second, third = [await put(spool, some_results()) for _ in range(3)]
        await spool.settle([second])
        await spool.settle([second, 1_000_000])
        assert [each.number for each in await spool.read(after=0, without={first})] == [third]
        assert (spool.status().entries, spool.status().results) == (2, 6)

    async def test_a_restart_keeps_what_is_not_settled(self, spool: Spool) -> None:
        """After closing and opening again the rest is there; numbers go on."""
        await spool.open()
        numbers = [await put(spool, some_results()) for _ in range(4)]
        kept = [each for each in await all_of(spool) if each.number not in numbers[1:3]]
        await spool.settle(numbers[1:3])
        await spool.close()
        status = await spool.open()
        assert (status.entries, status.results, status.damaged) == (2, 6, 0)
        assert await all_of(spool) == kept
        assert await put(spool, some_results()) > numbers[-1]
        await spool.settle(numbers)
        await spool.close()
        assert (await spool.open()).entries == 1

    async def test_the_limit_is_never_passed(self, spool: Spool) -> None:
        """Without room nothing is put in; what is settled makes room."""
        await spool.open()
        numbers = list[int]()
        while (number := await spool.append(some_results(50))) is not None:
            numbers.append(number)
            assert spool.status().size_bytes <= spool.status().limit_bytes == LIMIT
        assert spool.status().results == 50 * len(numbers) > 50
        assert len(await all_of(spool)) == len(numbers)
        await spool.settle(numbers)
        assert spool.status().results == 0
        assert await put(spool, some_results(50)) > numbers[-1]

    async def test_what_is_buried_is_counted(self, spool: Spool) -> None:
        """Dead letters are counted, and settle nothing."""
        await spool.open()
        results = some_results()
        await put(spool, results)
        await spool.bury(results[:2], reason="no store takes it")
        assert (spool.status().dead, spool.status().results) == (2, 3)

    @pytest.mark.parametrize("count", [0, 5_001])
    async def test_a_batch_of_another_size_is_refused(self, spool: Spool, count: int) -> None:
        """An entry has 1 to 5,000 results."""
        await spool.open()
        with pytest.raises(InvalidValueError, match="results"):
            await spool.append([full_result()] * count)

    async def test_closing_and_opening_twice(self, spool: Spool) -> None:
        """Both can be repeated."""
        await spool.close()
        await spool.open()
        await put(spool, some_results())
        assert (await spool.open()).entries == 1
        await spool.close()
        await spool.close()
