"""Every call of the ports, for tests that are about all of them."""

from __future__ import annotations

import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.errors import StoreError
from urlmon.testing.builders import a_result

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from urlmon.domain.check_results import CheckResult
    from urlmon.testing.contracts.stores import ResultStores

    Call = Callable[[ResultStores], Awaitable[object]]

TENANT, MONITOR = TenantId.new(), MonitorId.new()
IDS: Final = (MONITOR,)
HOUR: Final = timedelta(hours=1)


def recent(on: ResultStores) -> Period:
    """Return a period around the present."""
    now = on.clock.now()
    return Period(since=now - timedelta(hours=6), until=now + timedelta(minutes=1))


def now_due(on: ResultStores) -> CheckResult:
    """Return a result that is due now."""
    return a_result(TENANT, MONITOR, scheduled_at=on.clock.now())


READS: Final[dict[str, Call]] = {
    "CheckResultStore.latest": lambda on: on.results.latest(TENANT, IDS),
    "CheckResultStore.history": lambda on: on.results.history(TENANT, [MONITOR], period=recent(on)),
    "CheckStatistics.summary": lambda on: on.statistics.summary(
        TENANT, {MONITOR: HOUR}, period=recent(on)
    ),
    "CheckStatistics.series": lambda on: on.statistics.series(
        TENANT, IDS, period=recent(on), width=HOUR
    ),
    "CheckStatistics.daily": lambda on: on.statistics.daily(
        TENANT, IDS, first=on.clock.now().date(), last=on.clock.now().date()
    ),
    "CheckStatistics.failures": lambda on: on.statistics.failures(TENANT, IDS, period=recent(on)),
    "CheckStatistics.by_location": lambda on: on.statistics.by_location(
        TENANT, IDS, period=recent(on)
    ),
    "CheckStatistics.usage": lambda on: on.statistics.usage(
        TENANT, first=on.clock.now().date(), last=on.clock.now().date()
    ),
}
WRITES: Final[dict[str, Call]] = {
    "CheckResultStore.record": lambda on: on.results.record([now_due(on)]),
    "CheckResultStore.forget_monitor": lambda on: on.results.forget_monitor(TENANT, MONITOR),
}
CALLS: Final = {**READS, **WRITES}


async def error_of(operation: str, on: ResultStores) -> StoreError:
    """Return the error that a call must raise."""
    with pytest.raises(StoreError) as caught:
        await CALLS[operation](on)
    assert caught.value.store == "influxdb"
    assert caught.value.operation == operation
    return caught.value


def everything_said(error: BaseException) -> str:
    """Return what any log could show of an error: text, repr and cause, all the way down."""
    said = ["".join(traceback.format_exception(error))]
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None:
            said += [repr(each), repr(each.args), repr(vars(each))]
            left += [each.__cause__, each.__context__]
    return "\n".join(said)
