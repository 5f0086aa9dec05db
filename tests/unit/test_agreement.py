"""A working state that came back with older data is brought to what the record says."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.upkept import MINUTE, Application

from urlmon.domain.alerting import AlertState, MonitorStatus, TransitionKind
from urlmon.testing.builders import an_alert
from urlmon.testing.faults import Faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from urlmon.domain.monitors import Monitor


class Checked(Application):
    """An application with one monitor, whose outcomes are stored as results as well."""

    monitor_: Monitor

    @classmethod
    async def up(cls, **fields: object) -> Checked:
        """Begin with a monitor that is up."""
        application = cls()
        application.monitor_ = await application.monitor(failure_threshold=1, **fields)
        await application.check("+")
        return application

    async def check(self, pattern: str) -> list[TransitionKind | None]:
        """Check once a minute: + is a success, - a failure; return what is decided."""
        decided = list[TransitionKind | None]()
        for sign in pattern:
            decided.append(await self.told(self.monitor_, success=sign == "+"))
            await self.results(self.monitor_, sign)
        return decided

    async def known(self) -> AlertState:
        """Return how the monitor stands."""
        return await self.stores.alert_state().get(*self.key)

    @property
    def key(self) -> tuple[object, ...]:
        """The monitor's ids."""
        return self.monitor_.tenant_id, self.monitor_.id


@pytest.fixture
async def checked() -> Checked:
    """A monitor that is up."""
    return await Checked.up()


async def test_an_alert_is_not_opened_twice(
    checked: Checked, caplog: pytest.LogCaptureFixture
) -> None:
    """An alert that the older data lack is open again, and ends."""
    caplog.set_level(logging.INFO, "urlmon.upkeep")
    bring_back = checked.snapshot()
    await checked.check("-")
    (told,) = await checked.act()
    bring_back()
    assert (await checked.known()).status is MonitorStatus.UP
    await checked.upkeep.compare()
    state = await checked.known()
    assert (state.status, f"{state.open_alert}:triggered") == (MonitorStatus.DOWN, told)
    assert f"monitor {checked.monitor_.id} had alert None open" in caplog.text
    assert "1 monitors had older alerts" in caplog.text
    assert await checked.check("-+") == [None, TransitionKind.RESOLVED]
    assert await checked.act() == [f"{state.open_alert}:resolved"]


async def test_an_end_is_owed(checked: Checked) -> None:
    """Where the newest result is a success, an alert that the older data lack ends at once."""
    bring_back = checked.snapshot()
    await checked.check("-")
    (begin,) = await checked.act()
    checked.clock.advance(MINUTE)
    await checked.results(checked.monitor_, "+")
    bring_back()
    await checked.upkeep.compare()
    assert await checked.act() == [begin.replace("triggered", "resolved")]


async def test_an_outage_is_not_missed(checked: Checked) -> None:
    """An alert that has ended, and is open in the older data, does not silence the monitor."""
    await checked.check("-")
    (ended,) = await checked.act()
    bring_back = checked.snapshot()
    await checked.check("+")
    await checked.act()
    bring_back()
    await checked.upkeep.compare()
    assert (await checked.known()).open_alert is None
    assert await checked.check("-") == [TransitionKind.TRIGGERED]
    (begun,) = await checked.act()
    assert begun != ended


async def test_another_alert_is_open(checked: Checked) -> None:
    """The alert of the record takes the place of an older one, and ends."""
    await checked.check("-")
    await checked.act()
    bring_back = checked.snapshot()
    await checked.check("+-")
    _, begun = await checked.act()
    bring_back()
    await checked.upkeep.compare()
    assert f"{(await checked.known()).open_alert}:triggered" == begun
    assert await checked.check("+") == [TransitionKind.RESOLVED]
    assert await checked.act() == [begun.replace("triggered", "resolved")]


async def test_an_alert_that_was_taken_on(checked: Checked) -> None:
    """Who took an alert on is not reminded of it though the older data do not know."""
    await checked.check("-")
    await checked.act()
    bring_back, alert_id = checked.snapshot(), (await checked.known()).open_alert
    assert alert_id is not None
    await checked.stores.alerts().acknowledge(
        checked.tenant_id, alert_id, by="ann", at=checked.clock.now()
    )
    bring_back()
    await checked.upkeep.compare()
    state = await checked.known()
    assert (state.open_alert, state.acknowledged) == (alert_id, True)


async def test_what_is_on_its_way_is_left_alone(checked: Checked) -> None:
    """While an alerter has not acted the two differ, and nothing is wrong."""
    for sign in "-+":
        await checked.check(sign)
        before = await checked.known()
        await checked.upkeep.compare()
        assert await checked.known() == before
        assert checked.upkeep._doubtful == [checked.key]
        await checked.act()
    await checked.upkeep._look_again()
    assert checked.upkeep._doubtful == []
    assert await checked.known() == before


async def test_what_was_in_doubt_is_looked_at_again(checked: Checked) -> None:
    """What was on its way in the older data is acted on once more, and then the record holds."""
    await checked.check("-")
    bring_back = checked.snapshot()
    await checked.act()
    await checked.check("+")
    await checked.act()
    bring_back()
    await checked.upkeep.compare()
    assert (await checked.known()).open_alert is not None
    await checked.act()
    await checked.upkeep._look_again()
    assert (await checked.known()).open_alert is None


async def test_an_alert_that_the_record_never_had(checked: Checked) -> None:
    """An alert whose opening was given up, or is kept elsewhere, stays as it is."""
    await checked.check("-")
    outbox = checked.stores.outbox()
    for claimed in await outbox.claim(request_id="r"):
        await outbox.settle(claimed)
    before = await checked.known()
    await checked.upkeep.compare()
    assert await checked.known() == before


async def test_an_alert_of_another_rule(checked: Checked) -> None:
    """Alerts of rules that no outcome decides are nothing to the working state."""
    alert = an_alert(*checked.key, rule="certificate", opened_at=checked.clock.now())
    await checked.stores.alerts().open(checked.tenant_id, alert)
    before = await checked.known()
    await checked.upkeep.compare()
    assert await checked.known() == before


async def test_what_flaps_becomes_stable_first() -> None:
    """What flaps in the older data is left alone first, so that the end of that is told."""
    checked, sign = await Checked.up(), "+"
    while (await checked.known()).status is not MonitorStatus.FLAPPING:
        sign = "+" if sign == "-" else "-"
        await checked.check(sign)
    await checked.act()
    bring_back = checked.snapshot()
    assert TransitionKind.RESOLVED in await checked.check("+" * 20)
    await checked.act()
    bring_back()
    await checked.upkeep.compare()
    assert (await checked.known()).status is MonitorStatus.FLAPPING
    assert checked.upkeep._doubtful == [checked.key]
    assert TransitionKind.STABLE in await checked.check("+" * 20)
    await checked.act()
    await checked.upkeep._look_again()
    assert (await checked.known()).open_alert is None
    assert checked.upkeep._doubtful == []


async def test_a_paused_monitor(checked: Checked) -> None:
    """The alert of a monitor that is paused is brought back as well, with its suppression."""
    bring_back = checked.snapshot()
    await checked.check("-")
    (told,) = await checked.act()
    bring_back()
    now = checked.clock.now()
    await checked.stores.alert_state().suppress(*checked.key, until=now + MINUTE)
    await checked.stores.monitors().set_enabled(
        *checked.key, enabled=False, at=now, reason="holidays"
    )
    await checked.upkeep.compare()
    state = await checked.known()
    assert f"{state.open_alert}:triggered" == told
    assert state.suppressed_until == now + MINUTE


async def test_a_removed_monitor(checked: Checked) -> None:
    """A monitor that was removed meanwhile stays forgotten."""
    await checked.check("-")
    await checked.act()
    bring_back = checked.snapshot()
    await checked.stores.monitors().remove(*checked.key)
    bring_back()
    await checked.upkeep.compare()
    assert (await checked.known()).status is MonitorStatus.UNKNOWN


class Delays(Faults):
    """Nothing fails, and every call takes a random number of turns."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    @asynccontextmanager
    async def call(self, operation: str) -> AsyncIterator[None]:
        """Run one call of a fake."""
        for _ in range(self._random.choice((0, 2, 30))):
            await asyncio.sleep(0)
        async with super().call(operation):
            yield


@pytest.mark.parametrize("seed", range(10))
async def test_beside_live_work(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever outcomes and alerters do while all is compared, nothing is taken for older data."""
    checked, random = await Checked.up(), Random(seed)  # noqa: S311 - not a secret
    checked.state.faults = Delays(random)

    async def forever(call: Callable[[], Awaitable[object]]) -> None:
        while True:
            await call()

    calls = checked.act, checked.act, checked.upkeep.compare
    others = [asyncio.create_task(forever(call)) for call in calls]
    for turn in range(40):
        await checked.check("-+"[turn % 2] * 7)  # so seldom it changes that it does not flap
        for _ in range(random.randrange(100)):
            await asyncio.sleep(0)
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    assert "restored" not in caplog.text
