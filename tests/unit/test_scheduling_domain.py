"""When monitors are due."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.scheduling import ClaimedCheck, Grid, ScheduleEntry
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_monitor
from urlmon.testing.clock import NOON

MINUTE = timedelta(minutes=1)
MILLISECOND = timedelta(milliseconds=1)
IDS = st.uuids().map(MonitorId)
INTERVALS = st.integers(1, 86_400).map(lambda seconds: timedelta(seconds=seconds))
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2190, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
GRIDS = st.builds(Grid.of, IDS, INTERVALS)


@given(GRIDS, MOMENTS)
def test_slots(grid: Grid, moment: datetime) -> None:
    """A moment lies between two neighbouring slots, the earlier of which it may be itself."""
    before, after = grid.at_or_before(moment), grid.after(moment)
    assert before <= moment < after
    assert after - before == grid.interval
    assert grid.at_or_before(before) == before
    assert grid.after(before) == after
    assert grid.at_or_before(after - timedelta(microseconds=1)) == before


@given(IDS, INTERVALS)
def test_phase(monitor_id: MonitorId, interval: timedelta) -> None:
    """The phase is below the interval, in whole milliseconds, and slots lie on it."""
    grid = Grid.of(monitor_id, interval)
    assert timedelta(0) <= grid.phase < interval
    assert not grid.phase % MILLISECOND
    assert not (grid.after(NOON) - datetime(1970, 1, 1, tzinfo=UTC) - grid.phase) % interval


def test_phases_are_the_same_for_ever() -> None:
    """The slots of a monitor are the same in every process and every version."""
    monitor_id = MonitorId("0197709b-7f3f-7b3b-8a3c-7b0f4a1d2c3e")
    phases = [Grid.of(monitor_id, seconds * timedelta(seconds=1)).phase for seconds in (60, 3600)]
    assert phases == [timedelta(seconds=12.724), timedelta(seconds=552.724)]
    assert phases[0] == phases[1] % MINUTE


def test_phases_are_spread() -> None:
    """Monitors of one interval are spread evenly over it, whenever they were made."""
    made = [MonitorId.new() for _ in range(6_000)]
    counts = Counter(Grid.of(each, MINUTE).phase // timedelta(seconds=1) for each in made)
    assert len(counts) == 60
    assert max(counts.values()) < 200


@given(GRIDS, MOMENTS, st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
def test_no_drift(grid: Grid, moment: datetime, waits: list[int]) -> None:
    """However late checks are claimed and completed, slots grow, lie on the grid, and have come."""
    slot = grid.after(moment)
    now = slot
    for wait in waits:
        now += timedelta(microseconds=wait)
        claimed = grid.claimed(slot, now=now)
        assert slot <= claimed <= now < claimed + grid.interval
        now += timedelta(microseconds=wait // 2)
        slot = grid.following(claimed, now=now)
        assert slot > claimed
        assert slot == grid.at_or_before(slot)
        assert slot <= now or slot == claimed + grid.interval
        now = max(now, slot)


def test_an_interval_that_changed() -> None:
    """What was due on another grid keeps its slot, and what follows is later and on the new one."""
    monitor_id = MonitorId.new()
    slot = Grid.of(monitor_id, MINUTE).after(NOON)
    daily = Grid.of(monitor_id, timedelta(days=1))
    assert daily.claimed(slot, now=slot) == slot
    following = daily.following(slot, now=slot)
    assert following > slot
    assert following == daily.at_or_before(following)


def test_entry_of_a_monitor() -> None:
    """An entry holds what the schedule needs of a monitor."""
    places = ("a", "b")
    monitor = a_monitor(TenantId.new(), interval=2 * MINUTE, locations=places, version=3)
    assert ScheduleEntry.of(monitor) == ScheduleEntry(
        tenant_id=monitor.tenant_id,
        monitor_id=monitor.id,
        interval=2 * MINUTE,
        locations=places,
        version=3,
    )


@pytest.mark.parametrize("name", ["tenant_id", "monitor_id", "interval", "locations", "version"])
def test_entry_is_valid(name: str) -> None:
    """An entry refuses what no monitor has."""
    entry = ScheduleEntry.of(a_monitor(TenantId.new()))
    with pytest.raises(InvalidValueError) as caught:
        evolve(entry, **{name: None})
    assert caught.value.field == name


def test_claims_are_compared_by_what_they_are() -> None:
    """A claim equals itself renewed, and shows no token."""
    claimed = ClaimedCheck(
        tenant_id=TenantId.new(),
        monitor_id=MonitorId.new(),
        location="default",
        scheduled_at=NOON,
        version=1,
        token="a secret of its own",
        attempt=1,
        leased_until=NOON,
    )
    renewed = evolve(claimed, leased_until=NOON + MINUTE)
    assert renewed == claimed
    assert hash(renewed) == hash(claimed)
    assert evolve(claimed, token="another") != claimed
    assert "secret" not in repr(claimed)
