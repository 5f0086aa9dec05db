"""The contract of `CheckStatistics`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import pytest

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.errors import InvalidValueError
from urlmon.ports import CheckStatistics
from urlmon.testing.builders import a_result
from urlmon.testing.contracts._recording import BOOM, HOUR, record, whole_span
from urlmon.testing.contracts._statistics_agree import AgreementContract
from urlmon.testing.contracts._statistics_groups import GroupsContract
from urlmon.testing.contracts._statistics_summary import SummaryContract
from urlmon.testing.contracts._statistics_time import DaysContract, SeriesContract
from urlmon.testing.contracts.isolation import assert_nil_refused
from urlmon.testing.contracts.stores import ResultStores

Question = Callable[[TenantId, Sequence[MonitorId]], Awaitable[object]]


class CheckStatisticsContract(
    SummaryContract, GroupsContract, SeriesContract, DaysContract, AgreementContract
):
    """What every `CheckStatistics` must hold, over the fixture `recording`."""

    async def test_one_to_a_thousand_monitors(self, recording: ResultStores) -> None:
        """Up to 1,000 monitors are answered for at once, each of them; 1,001 are refused."""
        tenant = TenantId.new()
        monitors = [MonitorId.new() for _ in range(1_001)]
        at = recording.clock.now()
        await record(
            recording,
            *(a_result(tenant, each, scheduled_at=at, error=BOOM) for each in monitors[::2]),
        )
        for question in _questions(recording):
            answer = await question(tenant, monitors[:1_000])
            assert isinstance(answer, dict)
            assert list(answer) == monitors[:1_000]
            assert len({repr(each) for each in answer.values()}) == 2
            with pytest.raises(InvalidValueError, match=r"monitor_ids|intervals"):
                await question(tenant, monitors)

    async def test_no_monitors(self, recording: ResultStores) -> None:
        """The answer for nobody is empty."""
        for question in _questions(recording):
            assert await question(TenantId.new(), []) == {}

    async def test_a_foreign_tenant_is_like_none(self, recording: ResultStores) -> None:
        """Another tenant's results are never counted; the answer is as for an unknown monitor."""
        tenant, other, monitor = TenantId.new(), TenantId.new(), MonitorId.new()
        at = recording.clock.now()
        await record(recording, a_result(tenant, monitor, scheduled_at=at, error=BOOM))
        await record(recording, a_result(other, MonitorId.new(), scheduled_at=at))
        unknown = MonitorId.new()
        for question in _questions(recording):
            owned = str(await question(tenant, [monitor]))
            foreign = str(await question(other, [monitor])).replace(str(monitor), "")
            nobody = str(await question(TenantId.new(), [monitor])).replace(str(monitor), "")
            nothing = str(await question(tenant, [unknown])).replace(str(unknown), "")
            assert foreign == nobody == nothing
            assert foreign != owned.replace(str(monitor), "")

    async def test_the_nil_tenant_is_refused(self, recording: ResultStores) -> None:
        """Every method refuses the nil UUID."""
        today = recording.clock.now().date()

        def without_monitors(question: Question) -> Callable[[TenantId], Awaitable[object]]:
            return lambda nil: question(nil, [])

        await assert_nil_refused(
            *map(without_monitors, _questions(recording)),
            lambda nil: recording.statistics.usage(nil, first=today, last=today),
        )


def _questions(recording: ResultStores) -> tuple[Question, ...]:
    """Return every method that answers for monitors, asked about all that the store holds."""
    statistics: CheckStatistics = recording.statistics
    span = whole_span(recording)
    day = recording.clock.now().date()
    return (
        lambda tenant, ids: statistics.summary(tenant, dict.fromkeys(ids, HOUR), period=span),
        lambda tenant, ids: statistics.series(
            tenant, ids, period=span, width=timedelta(days=1_000)
        ),
        lambda tenant, ids: statistics.daily(tenant, ids, first=day, last=day),
        lambda tenant, ids: statistics.failures(tenant, ids, period=span),
        lambda tenant, ids: statistics.by_location(tenant, ids, period=span),
    )
