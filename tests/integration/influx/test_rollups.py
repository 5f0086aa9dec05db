"""Rollups: what they are made of, when they are believed, and what touches them."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from tests.fixtures.influx import RETENTION, stores
from tests.integration.influx._calls import MONITOR, TENANT

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.errors import CorruptDataError, UnavailableError
from urlmon.testing.builders import a_result
from urlmon.testing.clock import FakeClock
from urlmon_adapters.influx import InfluxRollupKeeper
from urlmon_adapters.influx._spans import DAY, HOUR, WEEK

if TYPE_CHECKING:
    from urlmon.testing.contracts.stores import ResultStores
    from urlmon_adapters.influx import Influx

HOURS = timedelta(hours=1)
DAYS = timedelta(days=1)
MINUTES = timedelta(minutes=1)
BOOM = CheckError(kind=ErrorKind.STATUS, message="500")
# A Tuesday: weeks begin on Thursdays, as the epoch does.
NOW = datetime(2026, 6, 16, 10, 30, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    """A clock in the middle of an hour."""
    return FakeClock(NOW)


@pytest.fixture
def recording(influx: Influx, clock: FakeClock) -> ResultStores:
    """The real adapters."""
    return stores(influx, clock)


@pytest.fixture
def keeper(influx: Influx, clock: FakeClock) -> InfluxRollupKeeper:
    """What keeps rollups."""
    return InfluxRollupKeeper(influx, clock, retention=RETENTION)


async def rows(influx: Influx, measurement: str) -> list[tuple[int, str]]:
    """Return the rollups of a length that have results, with their times."""
    found: list[tuple[int, str]] = []
    await influx.query(
        "test",
        f'SELECT "sums" FROM "{measurement}"',
        {},
        take=lambda part: found.extend((row[0], row[1]) for row in part.values),
    )
    return [(at, text) for at, text in found if text.split(" ")[2] != "0"]


async def checks(recording: ResultStores, since: datetime, until: datetime) -> tuple[int, int]:
    """Return how many checks a period has, and how many failed."""
    period = Period(since=since, until=until)
    found = await recording.statistics.summary(TENANT, {MONITOR: HOURS}, period=period)
    return found[MONITOR].statistics.checks, found[MONITOR].statistics.failures


def a_check(at: datetime, **fields: Any) -> CheckResult:
    """Make a result of the monitor."""
    return a_result(TENANT, MONITOR, scheduled_at=at, **fields)


async def alter(influx: Influx, measurement: str, old: str, new: str) -> None:
    """Change the rollups of a length, so that an answer shows whether it comes from them."""
    for at, text in await rows(influx, measurement):
        tags = f"monitor_id={MONITOR},tenant_id={TENANT}"
        assert old in text
        changed = text.replace(old, new, 1)
        await influx.write("test", [f'{measurement},{tags} sums="{changed}" {at}'.encode()])


@pytest.mark.parametrize(
    ("measurement", "back"),
    [("check_hours", 5 * HOURS), ("check_days", 3 * DAYS), ("check_weeks", 20 * DAYS)],
)
async def test_an_answer_comes_from_the_longest_rollups(
    influx: Influx,
    recording: ResultStores,
    keeper: InfluxRollupKeeper,
    measurement: str,
    back: timedelta,
) -> None:
    """Hours, days and weeks are read in the place of the results that they consist of."""
    at = NOW - back
    await recording.results.record([a_check(at)])
    recording.clock.advance(20 * MINUTES)  # type: ignore[attr-defined]
    await keeper.run()
    (text,) = {text for _, text in await rows(influx, measurement)}
    read_us, made = text.split(" ")[:2]
    await alter(influx, measurement, f"{read_us} {made} 1 0", f"{read_us} {made} 777 7")
    assert await checks(recording, NOW - 60 * DAYS, NOW + HOURS) == (777, 7)
    # A period that cuts the hour reads the result itself.
    assert await checks(recording, at - MINUTES, at + MINUTES) == (1, 0)


async def test_late_results(
    influx: Influx, recording: ResultStores, keeper: InfluxRollupKeeper, clock: FakeClock
) -> None:
    """What arrives after its hour was rolled up counts at once, and is rolled up again."""
    at = NOW - 20 * DAYS
    await recording.results.record([a_check(at)])
    clock.advance(20 * MINUTES)
    await keeper.run()
    assert await checks(recording, NOW - 60 * DAYS, NOW) == (1, 0)
    await recording.results.record([a_check(at + MINUTES), a_check(at, error=BOOM)])
    assert await checks(recording, NOW - 60 * DAYS, NOW) == (2, 1)
    # The write may still be under way somewhere else: nothing is rolled up yet.
    clock.advance(4 * MINUTES)
    await keeper.run()
    assert await checks(recording, NOW - 60 * DAYS, NOW) == (2, 1)
    assert {text.split(" ")[2] for _, text in await rows(influx, "check_weeks")} == {"1"}
    clock.advance(2 * MINUTES)
    await keeper.run()
    for measurement in ("check_hours", "check_days", "check_weeks"):
        assert {text.split(" ")[2] for _, text in await rows(influx, measurement)} == {"2"}
    await alter(influx, "check_weeks", " 2 1 ", " 777 7 ")
    assert await checks(recording, NOW - 60 * DAYS, NOW) == (777, 7)


async def test_late_results_of_the_last_day(
    influx: Influx, recording: ResultStores, keeper: InfluxRollupKeeper, clock: FakeClock
) -> None:
    """They touch their hours alone, which are rolled up again."""
    at = NOW - 5 * HOURS
    await recording.results.record([a_check(at), a_check(at - HOURS)])
    clock.advance(20 * MINUTES)
    await keeper.run()
    await recording.results.record([a_check(at + MINUTES)])
    # The hour before is still believed, the touched one is not.
    await alter(influx, "check_hours", " 1 1 0", " 1 777 7")
    assert await checks(recording, NOW - DAYS, NOW) == (779, 7)
    clock.advance(6 * MINUTES)
    await keeper.run()
    counts = sorted(text.split(" ")[2] for _, text in await rows(influx, "check_hours"))
    assert counts == ["2", "777"]


async def test_a_copy_marks_whole_weeks(
    influx: Influx, recording: ResultStores, keeper: InfluxRollupKeeper, clock: FakeClock
) -> None:
    """Every answer reads the marks, so there are not as many as hours."""
    instants = [NOW - number * HOURS for number in range(1, 24 * 19 + 11)]  # two weeks and more
    await recording.results.record([a_check(at) for at in instants])
    marks: list[list[object]] = []
    query = 'SELECT "late_us", "week_late_us" FROM "check_touched"'
    await influx.query("test", query, {}, take=lambda part: marks.extend(part.values))
    assert sum(hour is not None for _, hour, _ in marks) == 23
    assert sum(week is not None for _, _, week in marks) == 3
    clock.advance(20 * MINUTES)
    await keeper.run()
    await keeper.run()
    # Weeks of which every hour has been touched are believed, as are hours without any result.
    await alter(influx, "check_weeks", " 168 168 0", " 168 777 7")
    assert await checks(recording, NOW - 60 * DAYS, NOW) == (len(instants) + 2 * (777 - 168), 14)


async def test_late_results_of_another_monitor(
    influx: Influx, recording: ResultStores, keeper: InfluxRollupKeeper, clock: FakeClock
) -> None:
    """A monitor's rollups are believed, whatever has touched those of the others."""
    at, other = NOW - 20 * DAYS, MonitorId.new()
    await recording.results.record([a_check(at)])
    clock.advance(20 * MINUTES)
    await keeper.run()
    await alter(influx, "check_weeks", " 1 1 0", " 1 777 7")
    await recording.results.record([a_result(TENANT, other, scheduled_at=at)])
    period = Period(since=NOW - 60 * DAYS, until=NOW)
    found = await recording.statistics.summary(
        TENANT, {MONITOR: HOURS, other: HOURS}, period=period
    )
    assert found[MONITOR].statistics.checks == 777
    assert found[other].statistics.checks == 1


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("back", [20 * DAYS, 31 * MINUTES])
async def test_a_recorder_that_stalls(
    influx: Influx, recording: ResultStores, clock: FakeClock, back: timedelta, *, failing: bool
) -> None:
    """What arrives long after its mark, or without one, is in no rollup: none is believed."""
    clock.advance(-26 * MINUTES)  # four minutes after an hour, which is not late yet
    at = NOW - back
    keeper = InfluxRollupKeeper(influx, clock, retention=RETENTION)
    await recording.results.record([a_check(at)])
    real = influx.write

    async def stall(operation: str, lines: Any, **kwargs: Any) -> Any:
        lines = list(lines)
        if not lines[0].startswith(b"check_results"):
            return await real(operation, lines, **kwargs)
        influx.write = real  # type: ignore[method-assign]
        clock.advance(6 * MINUTES)
        await keeper.run()
        clock.advance(14 * MINUTES)
        answer = await real(operation, lines, **kwargs)
        if failing:  # the answer is lost
            raise UnavailableError("influxdb", operation, "silent", maybe_applied=True)
        return answer

    influx.write = stall  # type: ignore[method-assign]
    with pytest.raises(UnavailableError) if failing else nullcontext():
        await recording.results.record([a_check(at + MINUTES // 2)])
    assert await checks(recording, NOW - 60 * DAYS, NOW - 30 * MINUTES) == (2, 0)
    clock.advance(6 * MINUTES)
    await keeper.run()
    assert await checks(recording, NOW - 60 * DAYS, NOW - 30 * MINUTES) == (2, 0)
    assert {text.split(" ")[2] for _, text in await rows(influx, "check_hours")} == {"2"}


async def test_a_stalled_recorder_that_cannot_say_so(
    influx: Influx, recording: ResultStores, clock: FakeClock
) -> None:
    """It says that what it wrote may be there; repeated, the call marks it again."""
    real, at, fails = influx.write, NOW - 20 * DAYS, [False, False, True]

    async def write(operation: str, lines: Any, **kwargs: Any) -> Any:
        if fails.pop(0):
            raise UnavailableError("influxdb", operation, "refused", maybe_applied=False)
        clock.advance(3 * MINUTES)
        return await real(operation, lines, **kwargs)

    influx.write = write  # type: ignore[method-assign]
    with pytest.raises(UnavailableError) as caught:
        await recording.results.record([a_check(at)])
    assert caught.value.maybe_applied
    assert not fails


async def test_an_older_rollup_that_is_written_late(
    influx: Influx, recording: ResultStores, keeper: InfluxRollupKeeper, clock: FakeClock
) -> None:
    """A process that was paused writes what it had read long ago: that is not believed."""
    at = NOW - 5 * HOURS
    await recording.results.record([a_check(at)])
    clock.advance(20 * MINUTES)
    await keeper.run()
    ((time, old),) = await rows(influx, "check_hours")
    await recording.results.record([a_check(at + MINUTES)])
    clock.advance(20 * MINUTES)
    await keeper.run()
    tags = f"monitor_id={MONITOR},tenant_id={TENANT}"
    await influx.write("test", [f'check_hours,{tags} sums="{old}" {time}'.encode()])
    assert await checks(recording, NOW - DAYS, NOW) == (2, 0)


async def test_a_forgotten_monitor(
    influx: Influx, recording: ResultStores, keeper: InfluxRollupKeeper, clock: FakeClock
) -> None:
    """Its rollups go with its results, and one that was under way is not believed."""
    other = MonitorId.new()
    at = NOW - 20 * DAYS
    await recording.results.record([a_check(at), a_result(TENANT, other, scheduled_at=at)])
    clock.advance(20 * MINUTES)
    await keeper.run()
    kept = {name: await rows(influx, name) for name in ("check_hours", "check_days", "check_weeks")}
    await recording.results.forget_monitor(TENANT, MONITOR)
    for name, before in kept.items():
        assert len(await rows(influx, name)) == len(before) // 2
    assert await checks(recording, NOW - 60 * DAYS, NOW) == (0, 0)
    tags = f"monitor_id={MONITOR},tenant_id={TENANT}"
    for name, before in kept.items():
        for time, text in before[:1]:
            await influx.write("test", [f'{name},{tags} sums="{text}" {time}'.encode()])
    assert await checks(recording, NOW - 60 * DAYS, NOW) == (0, 0)
    usage = await recording.statistics.usage(TENANT, first=at.date(), last=NOW.date())
    assert sum(day.checks for day in usage) == 1
    # Whoever is recorded again counts.
    await recording.results.record([a_check(at)])
    assert await checks(recording, NOW - 60 * DAYS, NOW) == (1, 0)


async def test_upkeep_that_stopped_in_the_middle(
    influx: Influx, recording: ResultStores, clock: FakeClock
) -> None:
    """Wherever upkeep stops, each answer stays right, and the next run goes on from there."""
    instants = [NOW - number * 7 * HOURS for number in range(60)]
    await recording.results.record([a_check(at, error=None) for at in instants])
    clock.advance(20 * MINUTES)
    expected = (60, 0)
    real = influx.write
    for stop_at in (0, 1, 2, 5, 30, 31, 60, 61, 70, 75, 80, 1_000):
        left = [stop_at]

        async def write(*args: Any, left: list[int] = left, **kwargs: Any) -> Any:
            if not left[0]:
                raise InterruptedError
            left[0] -= 1
            return await real(*args, **kwargs)

        influx.write = write  # type: ignore[method-assign]
        try:
            await InfluxRollupKeeper(influx, clock, retention=RETENTION).run()
        except InterruptedError:
            pass
        finally:
            influx.write = real  # type: ignore[method-assign]
        assert await checks(recording, NOW - 60 * DAYS, NOW + HOURS) == expected
    assert len(await rows(influx, "check_hours")) == 59  # and the hour that is not over


async def test_many_keepers_at_once(
    influx: Influx, recording: ResultStores, clock: FakeClock
) -> None:
    """Several that run at the same time write the same, and answers are right throughout."""
    import asyncio

    instants = [NOW - number * 13 * HOURS for number in range(40)]
    await recording.results.record([a_check(at) for at in instants])
    clock.advance(20 * MINUTES)
    keepers = [InfluxRollupKeeper(influx, clock, retention=RETENTION) for _ in range(3)]
    running = asyncio.gather(*(each.run() for each in keepers))
    while not running.done():
        assert await checks(recording, NOW - 60 * DAYS, NOW + HOURS) == (40, 0)
    await running
    assert await checks(recording, NOW - 60 * DAYS, NOW + HOURS) == (40, 0)


async def test_rows_of_another_tenant_in_rollups(
    influx: Influx, recording: ResultStores, keeper: InfluxRollupKeeper, clock: FakeClock
) -> None:
    """One monitor id with two owners has two rollups, and each sees its own."""
    other = TenantId.new()
    at = NOW - 5 * HOURS
    result = a_check(at)
    await recording.results.record([result, evolve(result, tenant_id=other, error=BOOM)])
    clock.advance(20 * MINUTES)
    await keeper.run()
    assert len(await rows(influx, "check_hours")) == 2
    assert await checks(recording, NOW - DAYS, NOW) == (1, 0)
    period = Period(since=NOW - DAYS, until=NOW)
    theirs = await recording.statistics.summary(other, {MONITOR: HOURS}, period=period)
    assert theirs[MONITOR].statistics.failures == 1


async def test_rollups_that_urlmon_did_not_write(
    influx: Influx, recording: ResultStores, keeper: InfluxRollupKeeper, clock: FakeClock
) -> None:
    """They are said to be corrupt, by whoever reads them."""
    await recording.results.record([a_check(NOW - 5 * HOURS)])
    clock.advance(20 * MINUTES)
    await keeper.run()
    await alter(influx, "check_hours", " 1 1 0", " 1 one 0")
    with pytest.raises(CorruptDataError):
        await checks(recording, NOW - DAYS, NOW)
    clock.advance(DAYS)
    with pytest.raises(CorruptDataError):
        await keeper.run()


@pytest.mark.parametrize("level", [HOUR, HOUR.marks, DAY, WEEK])
def test_where_points_stand(level: Any) -> None:
    """Each span has a time of its own, never before its end is gone, in the order of the spans."""
    first = 20_000 * DAY.length_us // level.length_us * level.length_us
    spans = [first + number * level.length_us for number in range(400)]
    times = [level.stands_at(span) for span in spans]
    assert times == sorted(set(times))
    assert [level.span_at(time) for time in times] == spans
    if level.block:
        assert all(time >= span + level.length_us for span, time in zip(spans, times, strict=True))
        # A point a shard would cost as much as the results.
        assert len({time // DAY.length_us for time in times}) <= 400 // level.block + 1
    with pytest.raises(ValueError, match="at no time"):
        level.span_at(times[0] + 1)
