"""The upkeep of the working state, over the fakes: what it rebuilds, and what it follows."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from tests.fixtures.upkept import MINUTE, Application

from urlmon.domain.alerting import MonitorStatus, TransitionKind
from urlmon.domain.counters import NO_COUNT, FailureCount
from urlmon.domain.ids import TenantId
from urlmon.domain.tenants import TenantStatus
from urlmon.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from urlmon.services.upkeep import Upkeep


@pytest.fixture
def application() -> Application:
    """Nothing yet."""
    return Application()


async def test_an_open_alert_is_resolved_after_a_loss(application: Application) -> None:
    """The end of an alert that was open is told, once, although its beginning was lost."""
    monitor = await application.monitor()
    alert = await application.open(monitor)
    await application.results(monitor, "+----")
    await application.lose_and_repair()
    state = await application.stores.alert_state().get(monitor.tenant_id, monitor.id)
    assert (state.status, state.open_alert) == (MonitorStatus.DOWN, alert.id)
    assert await application.told(monitor, success=False) is None
    assert await application.told(monitor, success=True) is TransitionKind.RESOLVED
    (claimed,) = await application.stores.outbox().claim(request_id="r")
    assert claimed.transition.alert_id == alert.id


async def test_an_alert_that_was_taken_on_stays_so(application: Application) -> None:
    """Who acknowledged an alert need not do so again."""
    monitor = await application.monitor()
    alert = await application.open(monitor)
    at = application.clock.now()
    await application.stores.alerts().acknowledge(monitor.tenant_id, alert.id, by="ann", at=at)
    await application.lose_and_repair()
    state = await application.stores.alert_state().get(monitor.tenant_id, monitor.id)
    assert (state.open_alert, state.acknowledged) == (alert.id, True)
    assert await application.told(monitor, success=True) is TransitionKind.RESOLVED


@pytest.mark.parametrize(
    ("results", "failures_until_told"), [("+++", 3), ("+-", 2), ("+--", 1), ("----", 1)]
)
async def test_streaks_go_on(
    application: Application, results: str, failures_until_told: int
) -> None:
    """A monitor without an alert needs as many failures more as it would have without the loss."""
    monitor = await application.monitor(failure_threshold=3)
    await application.results(monitor, results)
    await application.lose_and_repair()
    told = [await application.told(monitor, success=False) for _ in range(failures_until_told)]
    assert told == [None] * (failures_until_told - 1) + [TransitionKind.TRIGGERED]


async def test_watermarks_are_restored(application: Application) -> None:
    """An outcome that was recorded as a result is not applied once more."""
    monitor = await application.monitor(failure_threshold=1)
    await application.results(monitor, "+")
    await application.lose_and_repair()
    application.clock.advance(-MINUTE)  # the next outcome has the instant of the known result
    assert await application.told(monitor, success=False) is None


async def test_each_location_is_restored(application: Application) -> None:
    """Every location has its own streak again."""
    monitor = await application.monitor(locations=("lima", "oslo"), failure_threshold=2)
    await application.results(monitor, "+-", location="lima")
    await application.results(monitor, "++", location="oslo")
    await application.lose_and_repair()
    state = await application.stores.alert_state().get(monitor.tenant_id, monitor.id)
    assert [(each.location, each.failures) for each in state.locations] == [
        ("lima", 1),
        ("oslo", 0),
    ]
    assert {location for *_, location in application.state.runs} == {"lima", "oslo"}


async def test_failures_are_counted_on(application: Application) -> None:
    """The failures in a row are known again; after a success nothing needs to be known."""
    failing, fine = await application.monitor(), await application.monitor()
    await application.results(failing, "+---")
    await application.results(fine, "--+")
    await application.lose_and_repair()
    counters = application.stores.counters()
    expected = FailureCount(failures=3, watermark=application.clock.now())
    assert await counters.get(failing.tenant_id, failing.id) == expected
    assert await counters.get(fine.tenant_id, fine.id) == NO_COUNT


async def test_nothing_is_known_of_what_was_never_checked(application: Application) -> None:
    """A monitor without results is unknown, also after a repair, and is on the schedule."""
    monitor = await application.monitor()
    await application.lose_and_repair()
    state = await application.stores.alert_state().get(monitor.tenant_id, monitor.id)
    assert state.status is MonitorStatus.UNKNOWN
    assert application.scheduled() == {monitor.id}


async def test_many_tenants(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    """Monitors of many tenants are restored, with what each has; the progress is logged."""
    caplog.set_level(logging.INFO, "urlmon.upkeep")
    opened = []
    for _ in range(30):
        application.tenant_id = TenantId.new()
        for _ in range(3):
            monitor = await application.monitor()
            await application.results(monitor, "-")
        opened.append((monitor, await application.open(monitor)))
    await application.lose_and_repair()
    assert len(application.scheduled()) == 90
    assert len(application.state.alert_states) == 90
    for monitor, alert in opened:
        state = await application.stores.alert_state().get(monitor.tenant_id, monitor.id)
        assert state.open_alert == alert.id
    assert "90 monitors" in caplog.text


async def test_inactive_monitors_keep_their_alerts(application: Application) -> None:
    """An alert of a monitor that is paused meanwhile is not forgotten."""
    monitor, idle = await application.monitor(), await application.monitor()
    alert = await application.open(monitor)
    repo, now = application.stores.monitors(), application.clock.now()
    for each in (monitor, idle):
        await repo.set_enabled(each.tenant_id, each.id, enabled=False, at=now, reason="holidays")
    await application.lose_and_repair()
    assert not application.scheduled()
    state = await application.stores.alert_state().get(monitor.tenant_id, monitor.id)
    assert state.open_alert == alert.id


async def test_who_repaired_dies_at_once(application: Application) -> None:
    """What was declared whole has the alerts of inactive monitors: nobody looks for them again."""
    monitor = await application.monitor()
    alert, now = await application.open(monitor), application.clock.now()
    await application.stores.monitors().set_enabled(
        monitor.tenant_id, monitor.id, enabled=False, at=now, reason="holidays"
    )
    application.state.lose_everything()
    finish = application.state.faults.fail("WorkingState.finish_repair", lost_reply=True)
    with finish, pytest.raises(UnavailableError):
        await application.upkeep.repair()
    assert application.state.whole
    state = await application.stores.alert_state().get(monitor.tenant_id, monitor.id)
    assert state.open_alert == alert.id


async def test_a_repair_may_be_repeated(application: Application) -> None:
    """What is whole is left alone, and what goes on meanwhile is not undone."""
    monitor = await application.monitor(failure_threshold=1)
    await application.results(monitor, "+")
    await application.lose_and_repair()
    assert await application.told(monitor, success=False) is TransitionKind.TRIGGERED
    before = dict(application.state.alert_states)
    await application.upkeep.repair()
    assert application.state.alert_states == before


@pytest.mark.parametrize(
    "fails",
    [
        "MonitorDirectory.changes",
        "AlertRepo.open_for",
        "CheckResultStore.latest",
        "CheckResultStore.history",
        "Schedule.seed",
        "AlertStateCache.seed",
        "FailureCounters.seed",
        "WorkingState.finish_repair",
    ],
)
async def test_a_repair_that_dies_is_taken_over(application: Application, fails: str) -> None:
    """Wherever a repair ends early, the next one does it all."""
    monitor = await application.monitor()
    alert = await application.open(monitor)
    await application.results(monitor, "+--")
    application.state.lose_everything()
    with application.state.faults.fail(fails), pytest.raises(UnavailableError):
        await application.upkeep.repair()
    assert not application.state.whole
    await application.upkeep.repair()
    state = await application.stores.alert_state().get(monitor.tenant_id, monitor.id)
    assert state.open_alert == alert.id
    assert application.scheduled() == {monitor.id}


async def test_one_repairs_while_the_others_wait(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    """Of many that want to repair, one does, and all return when it is done."""
    for _ in range(5):
        await application.results(await application.monitor(), "-")
    application.state.lose_everything()
    await asyncio.gather(*(application.upkeep.repair() for _ in range(8)))
    assert caplog.text.count("5 monitors was rebuilt") == 1
    assert application.state.whole


async def test_lost_again_while_it_is_repaired(application: Application) -> None:
    """What is lost again on the way is rebuilt from the beginning."""
    monitor = await application.monitor()
    await application.results(monitor, "-")
    application.state.lose_everything()
    repairing = asyncio.create_task(application.upkeep.repair())
    while not application.state.alert_states:  # noqa: ASYNC110 - lets the repair take a step
        await asyncio.sleep(0)
    application.state.lose_everything()
    await asyncio.wait([repairing])
    if repairing.exception() is not None:  # the lock was lost as well
        await application.upkeep.repair()
    assert application.state.whole
    assert application.scheduled() == {monitor.id}
    assert application.state.alert_states


async def test_the_schedule_follows_the_directory(application: Application) -> None:
    """What is added, changed, paused and removed in the record is so on the schedule."""
    upkeep, repo = application.upkeep, application.stores.monitors()
    first, second = await application.monitor(), await application.monitor()
    cursor = await upkeep.compare()
    assert application.scheduled() == {first.id, second.id}
    moved = await repo.update(first.tenant_id, evolve(first, locations=("oslo",)))
    now = application.clock.now()
    await repo.set_enabled(second.tenant_id, second.id, enabled=False, at=now, reason="holidays")
    third = await application.monitor()
    cursor = await upkeep.follow(cursor)
    assert application.scheduled() == {moved.id, third.id}
    key = moved.tenant_id, moved.id
    assert application.state.scheduled[key] == (moved.version, ("oslo",))
    await repo.remove(third.tenant_id, third.id)
    await repo.set_enabled(second.tenant_id, second.id, enabled=True, at=now)
    cursor = await upkeep.follow(cursor)
    assert application.scheduled() == {moved.id, second.id}
    tenants = application.stores.tenants()
    await tenants.set_status(application.tenant_id, status=TenantStatus.SUSPENDED, at=now)
    await upkeep.follow(cursor)
    assert not application.scheduled()


async def test_a_removed_monitor_is_forgotten(application: Application) -> None:
    """What was told of it ends, and nobody is reminded; one that is paused stays as it is."""
    removed, paused = [
        await application.monitor(failure_threshold=1, reminder_interval=60 * MINUTE)
        for _ in range(2)
    ]
    cursor = await application.upkeep.compare()
    for monitor in (removed, paused):
        assert await application.told(monitor, success=False) is TransitionKind.TRIGGERED
    monitors, key = application.stores.monitors(), application.tenant_id
    await monitors.set_enabled(
        key, paused.id, enabled=False, reason=None, at=application.clock.now()
    )
    await monitors.remove(key, removed.id)
    for _ in range(2):
        cursor = await application.upkeep.follow(cursor)
    outbox = application.stores.outbox()
    for claimed in await outbox.claim(request_id="begins"):
        await outbox.settle(claimed)
    (end,) = await outbox.claim(request_id="ends")
    assert (end.transition.monitor_id, end.transition.kind) == (
        removed.id,
        TransitionKind.RESOLVED,
    )
    await outbox.settle(end)
    application.clock.advance(61 * MINUTE)
    (reminder,) = await outbox.claim(request_id="reminders")
    assert reminder.transition.monitor_id == paused.id


async def test_a_comparison_finds_what_nobody_said(application: Application) -> None:
    """What the schedule lost or kept by itself is found by comparing it with the record."""
    kept, gone = await application.monitor(), await application.monitor()
    await application.upkeep.compare()
    await application.stores.monitors().remove(gone.tenant_id, gone.id)
    await application.stores.schedule().remove(kept.tenant_id, kept.id)
    assert application.scheduled() == {gone.id}
    await application.upkeep.compare()
    assert application.scheduled() == {kept.id}


async def test_lead(application: Application) -> None:
    """Who leads repairs what is lost, follows the record, and compares at times."""
    pauses: list[asyncio.Future[None]] = []

    async def pause(seconds: float) -> None:
        assert seconds == 2
        pauses.append(asyncio.get_running_loop().create_future())
        await pauses[-1]

    async def step() -> None:
        count = len(pauses)
        pauses[-1].set_result(None)
        while len(pauses) == count and not leading.done():  # noqa: ASYNC110 - lets it take a step
            await asyncio.sleep(0)

    upkeep = _upkeep(application, pause)
    first = await application.monitor()
    application.state.lose_everything()
    leading = asyncio.create_task(upkeep.lead())
    while not pauses:  # noqa: ASYNC110 - lets it take a step
        await asyncio.sleep(0)
    assert application.state.whole
    assert application.scheduled() == {first.id}
    await upkeep.lead()  # another leads: this one returns
    second = await application.monitor()
    await step()
    assert application.scheduled() == {first.id, second.id}
    application.state.whole = False
    await step()
    assert application.state.whole
    await application.stores.schedule().remove(first.tenant_id, first.id)
    await step()
    assert application.scheduled() == {second.id}
    application.state.origin = "another"
    await step()
    assert application.scheduled() == {first.id, second.id}
    await application.stores.schedule().remove(first.tenant_id, first.id)
    for _ in range(1_800):
        await step()
    assert application.scheduled() == {first.id, second.id}
    leading.cancel()
    await asyncio.wait([leading])
    assert not application.state.leases


async def test_until_whole(application: Application) -> None:
    """Who waits for the repair of another does so for as long as it likes."""
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)
        application.state.whole = len(waited) >= 7

    upkeep = _upkeep(application, pause)
    assert await upkeep.until_whole(wait=MINUTE)
    assert not waited
    application.state.lose_everything()
    assert await upkeep.until_whole(wait=MINUTE)
    assert len(waited) == 7
    waited.clear()
    application.state.lose_everything()
    assert not await upkeep.until_whole(wait=timedelta(seconds=0.2))
    assert sum(waited) == pytest.approx(0.2)


def _upkeep(application: Application, pause: Callable[[float], Awaitable[None]]) -> Upkeep:
    """Return the upkeep with pauses that the test decides."""
    application.upkeep._pause = pause
    return application.upkeep
