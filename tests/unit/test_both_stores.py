"""What is recorded in two stores: the fates of both, and what a failure of one means."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.recording import RETENTION

from urlmon.domain.fates import ALREADY_THERE, EXPIRED, NEW
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.errors import StoreError, UnavailableError
from urlmon.services.both_stores import BothStores
from urlmon.testing.builders import a_result
from urlmon.testing.check_results import InMemoryCheckResultStore
from urlmon.testing.clock import NOON, FakeClock
from urlmon.testing.state import InMemoryState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from urlmon.domain.check_results import CheckResult
    from urlmon.domain.fates import Fate

TENANT, MONITOR = TenantId.new(), MonitorId.new()
RESULT = a_result(TENANT, MONITOR)
ALWAYS = Period(since=NOON - timedelta(days=99), until=NOON + timedelta(days=1))
RECORD = "CheckResultStore.record"


class Pair:
    """Both stores, and each for itself."""

    def __init__(self, retention: timedelta = RETENTION) -> None:
        clock = FakeClock(NOON)
        self.states = [
            InMemoryState(clock=clock, retention=RETENTION),
            InMemoryState(clock=clock, retention=retention),
        ]
        self.alone = [InMemoryCheckResultStore(state) for state in self.states]
        self.both = BothStores(*self.alone)

    async def has(self) -> list[int]:
        """Return how many results each has."""
        return [
            len((await each.history(TENANT, [MONITOR], period=ALWAYS)).items) for each in self.alone
        ]


async def test_a_refusal_of_either_is_told() -> None:
    """The record tells what is new; where one refuses, that is the fate."""
    pair = Pair(retention=timedelta(days=1))
    old = a_result(TENANT, MONITOR, scheduled_at=NOON - timedelta(days=2))
    older = a_result(TENANT, MONITOR, scheduled_at=NOON - timedelta(days=95))
    await pair.alone[1].record([RESULT])
    assert await pair.both.record([RESULT, old, older, RESULT]) == (
        NEW,
        EXPIRED,
        EXPIRED,
        ALREADY_THERE,
    )
    assert await pair.has() == [2, 1]


@pytest.mark.parametrize("failing", [0, 1])
async def test_one_that_is_down_does_not_stop_the_other(failing: int) -> None:
    """The call fails and says that it may have been applied; made again, both have all."""
    pair = Pair()
    with pair.states[failing].faults.fail(RECORD), pytest.raises(UnavailableError) as caught:
        await pair.both.record([RESULT])
    assert caught.value.maybe_applied
    assert await pair.has() == [int(number != failing) for number in range(2)]
    (fate,) = await pair.both.record([RESULT])
    assert fate == (NEW if failing == 0 else ALREADY_THERE)
    assert await pair.has() == [1, 1]


async def test_both_down() -> None:
    """It may have been applied where either says so."""
    pair = Pair()
    record, series = pair.states
    with (
        record.faults.fail(RECORD),
        series.faults.fail(RECORD, lost_reply=True),
        pytest.raises(UnavailableError) as caught,
    ):
        await pair.both.record([RESULT])
    assert caught.value.maybe_applied
    with record.faults.fail(RECORD), series.faults.fail(RECORD):
        with pytest.raises(UnavailableError) as caught:
            await pair.both.record([RESULT])
        assert not caught.value.maybe_applied


async def test_another_failure_is_told_as_it_is() -> None:
    """What cannot be repeated with success is no `UnavailableError`."""

    class Refusing(InMemoryCheckResultStore):
        async def record(self, results: Sequence[CheckResult]) -> tuple[Fate, ...]:
            raise StoreError("memory", RECORD, f"no to {len(results)}")

    pair = Pair()
    both = BothStores(pair.alone[0], Refusing(pair.states[1]))
    with pytest.raises(StoreError, match="no to 1") as caught:
        await both.record([RESULT])
    assert type(caught.value) is StoreError


async def test_reads_are_the_records() -> None:
    """The other one is not asked, and need not be up; forgetting is for both."""
    pair = Pair()
    await pair.alone[0].record([RESULT])
    assert await pair.both.latest(TENANT, [MONITOR]) == {MONITOR: RESULT}
    assert (await pair.both.history(TENANT, [MONITOR], period=ALWAYS)).items == (RESULT,)
    await pair.alone[1].record([RESULT])
    await pair.both.forget_monitor(TENANT, MONITOR)
    assert await pair.has() == [0, 0]
