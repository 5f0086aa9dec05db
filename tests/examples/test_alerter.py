"""The example alerter, over the fakes and a receiver: what it does with each kind of transition."""

from __future__ import annotations

import asyncio
import importlib
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from urlmon.domain.alert_policy import AlertPolicy
from urlmon.testing.builders import a_channel, a_monitor, a_tenant, an_outcome
from urlmon_adapters.testing import InMemoryContainer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from urlmon.domain.alerts import Alert
    from urlmon.domain.ids import AlertId

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
HOUR: Final = timedelta(hours=1)


class Receiver:
    """A webhook that keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[dict[str, str]] = []
        self.status = 200

    async def take(self, request: web.Request) -> web.Response:
        """Keep what is posted."""
        self.received.append(await request.json())
        return web.Response(status=self.status)

    @property
    def kinds(self) -> list[str]:
        """The kinds that were told, in order."""
        return [each["kind"] for each in self.received]


class Scene:
    """A monitor with a channel, and one alerter."""

    def __init__(self, receiver: Receiver, url: str, session: aiohttp.ClientSession) -> None:
        self.receiver = receiver
        self.stores = InMemoryContainer()
        self.tenant = a_tenant()
        self.channel = a_channel(self.tenant.id, config={"url": url})
        self.monitor = a_monitor(
            self.tenant.id,
            channel_ids=(self.channel.id,),
            failure_threshold=1,
            reminder_interval=HOUR,
        )
        alerter: Any = importlib.import_module("alerter")
        self.alerter = alerter.Alerter(self.stores, session, Counter())

    async def set_up(self) -> None:
        """Add them to the record."""
        await self.stores.tenants().add(self.tenant)
        await self.stores.channels().add(self.tenant.id, self.channel, secrets={})
        await self.stores.monitors().add(self.tenant.id, self.monitor)

    async def check(self, *, success: bool) -> AlertId | None:
        """Record an outcome, a minute later, and hand over what is due; return the open alert."""
        self.stores.clock().advance(timedelta(minutes=1))
        outcome = an_outcome(
            self.tenant.id,
            self.monitor.id,
            scheduled_at=self.stores.clock().now(),
            success=success,
        )
        policy = AlertPolicy.of(self.monitor)
        decision = await self.stores.alert_state().record(self.tenant.id, outcome, policy=policy)
        await self.hand_over()
        return decision.state.open_alert

    async def hand_over(self) -> None:
        """Let the alerter act until nothing is due."""
        outbox = self.stores.outbox()
        while claims := await outbox.claim(request_id=uuid4().hex):
            for claimed in claims:
                await self.alerter._act(claimed)
        assert await outbox.backlog() == 0

    async def alert(self, alert_id: AlertId | None) -> Alert:
        """Read an alert in the record."""
        assert alert_id is not None
        return await self.stores.alerts().get(self.tenant.id, alert_id)


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """All of them, in the record, and a receiver that listens."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    receiver, application = Receiver(), web.Application()
    application.router.add_post("/", receiver.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        async with aiohttp.ClientSession() as session:
            scene = Scene(receiver, url, session)
            await scene.set_up()
            yield scene
    finally:
        await runner.cleanup()


async def test_kinds(scene: Scene) -> None:
    """Every kind is told, and those of an alert are counted in it."""
    alert_id = await scene.check(success=False)
    for count in (2, 3):
        scene.stores.clock().advance(HOUR)
        await scene.hand_over()
        assert (await scene.alert(alert_id)).notification_count == count
    await scene.check(success=True)
    assert scene.receiver.kinds == ["triggered", "reminder", "reminder", "resolved"]
    assert len({each["id"] for each in scene.receiver.received}) == 4
    alert = await scene.alert(alert_id)
    assert (alert.status, alert.notification_count) == ("resolved", 4)
    scene.receiver.received.clear()
    for number in range(6):
        await scene.check(success=number % 2 == 1)
    for _ in range(20):
        await scene.check(success=True)
    assert scene.receiver.kinds == [*["triggered", "resolved"] * 2, "flapping", "stable"]


async def test_taken_on_in_the_record(scene: Scene) -> None:
    """Nobody is reminded of an alert that the record says was acknowledged."""
    alert = await scene.alert(await scene.check(success=False))
    await scene.stores.alerts().acknowledge(
        scene.tenant.id, alert.id, by="ann", at=scene.stores.clock().now()
    )
    scene.stores.clock().advance(HOUR)
    await scene.hand_over()
    await scene.check(success=True)
    assert scene.receiver.kinds == ["triggered", "resolved"]


async def test_an_end_that_was_lost(scene: Scene) -> None:
    """An alert that was left open is ended by the next, which is told."""
    first = await scene.check(success=False)
    scene.stores.state().alert_states.clear()  # as after a failover
    second = await scene.check(success=False)
    stale, alert = await scene.alert(first), await scene.alert(second)
    assert (stale.status, stale.resolved_at) == ("resolved", alert.opened_at)
    assert (alert.status, alert.notification_count) == ("firing", 1)
    await scene.check(success=True)
    assert scene.receiver.kinds == ["triggered", "triggered", "resolved"]


async def test_the_record_is_down(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is claimed meanwhile: an outage does not use up the claims of a transition."""
    monkeypatch.setattr(scene, "hand_over", _nothing)
    await scene.check(success=False)
    faults = scene.stores.state().faults
    with faults.fail("MonitorDirectory.list_active"), faults.fail("AlertRepo.open"):
        running = asyncio.create_task(scene.alerter.run())
        while "will try" not in caplog.text:  # noqa: ASYNC110 - lets it take a step
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
    (claimed,) = await scene.stores.outbox().claim(request_id="r")
    assert claimed.attempt == 1


async def test_a_channel_that_takes_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked again after ever longer pauses, so that ten times last for minutes."""
    scene.receiver.status = 503
    monkeypatch.setattr(scene, "hand_over", _nothing)
    await scene.check(success=False)
    outbox = scene.stores.outbox()
    for seconds in (2, 4, 8, 16, 32, 64, 128, 256, 300):
        (claimed,) = await outbox.claim(request_id=uuid4().hex)
        await scene.alerter._act(claimed)
        scene.stores.clock().advance(timedelta(seconds=seconds - 1))
        assert not await outbox.claim(request_id=uuid4().hex)
        scene.stores.clock().advance(timedelta(seconds=1))
    scene.receiver.status = 200
    (claimed,) = await outbox.claim(request_id=uuid4().hex)
    await scene.alerter._act(claimed)
    assert await outbox.backlog() == 0


async def test_a_channel_is_removed_meanwhile(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one transition meets with does not end the alerter."""

    async def send(*_: object) -> None:
        await scene.stores.channels().remove(scene.tenant.id, scene.channel.id)

    monkeypatch.setattr(scene.alerter, "_send", send)
    with monkeypatch.context() as patch:
        patch.setattr(scene, "hand_over", _nothing)
        await scene.check(success=False)
    (claimed,) = await scene.stores.outbox().claim(request_id=uuid4().hex)
    await scene.alerter._act(claimed)
    scene.stores.clock().advance(HOUR)
    await scene.hand_over()


async def _nothing() -> None:
    """Hand nothing over."""
