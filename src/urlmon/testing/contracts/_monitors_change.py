"""What every `MonitorRepo` must pass: changing and removing."""

from __future__ import annotations

from datetime import timedelta

from attrs import evolve

from urlmon.domain.ids import MonitorId
from urlmon.domain.monitors import Method, StatusRange
from urlmon.errors import AlreadyExistsError, ConflictError, InvalidValueError, NotFoundError
from urlmon.testing.builders import a_channel, a_monitor, a_tenant, an_alert
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import RelationalStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS, IMPOSSIBLE_TEXTS

_LATER = NOON + timedelta(microseconds=1)


class MonitorChangesContract:
    """The part of the contract of `MonitorRepo` about changing and removing."""

    async def test_update(self, relational: RelationalStores) -> None:
        """Everything but id, tenant and making is replaced, and the version goes up by one."""
        tenant = await relational.tenants.add(a_tenant())
        one, two = [
            await relational.channels.add(tenant.id, a_channel(tenant.id)) for _ in range(2)
        ]
        monitor = a_monitor(tenant.id, channel_ids=(one.id,), body="x")
        await relational.monitors.add(tenant.id, monitor)
        wanted = evolve(
            monitor,
            name="New",
            url="http://example.org/new",
            method=Method.HEAD,
            headers=(("A", "b"),),
            body=None,
            expected_statuses=(StatusRange.parse("204"),),
            interval=timedelta(seconds=90),
            timeout=timedelta(seconds=9),
            locations=("b", "a"),
            failure_threshold=3,
            recovery_threshold=4,
            reminder_interval=timedelta(hours=1),
            enabled=False,
            pause_reason="moved",
            tags=("t",),
            channel_ids=(two.id, one.id),
            created_at=_LATER,
            updated_at=_LATER,
        )
        expected = evolve(wanted, created_at=monitor.created_at, version=2)
        for _ in range(2):
            assert await relational.monitors.update(tenant.id, wanted) == expected
            assert await relational.monitors.get(tenant.id, monitor.id) == expected
        bare = evolve(expected, channel_ids=(), reminder_interval=None, tags=(), headers=())
        assert await relational.monitors.update(tenant.id, bare) == evolve(bare, version=3)
        assert await relational.monitors.get(tenant.id, monitor.id) == evolve(bare, version=3)

    async def test_update_of_another_version(self, relational: RelationalStores) -> None:
        """Who has not seen the present version is told which it is, and changes nothing."""
        tenant = await relational.tenants.add(a_tenant())
        monitor = await relational.monitors.add(tenant.id, a_monitor(tenant.id))
        wanted = evolve(monitor, name="First")
        await relational.monitors.update(tenant.id, wanted)
        second = evolve(monitor, name="Second", version=2)
        current = await relational.monitors.update(tenant.id, second)
        for stale in (wanted, evolve(monitor, name="Third"), evolve(monitor, version=9)):
            error = await refusal_of(relational.monitors.update(tenant.id, stale))
            assert isinstance(error, ConflictError)
            assert (error.entity, error.current) == ("monitor", "3")
        assert await relational.monitors.get(tenant.id, monitor.id) == current

    async def test_refused_updates_change_nothing(self, relational: RelationalStores) -> None:
        """A name that is taken and a channel that is not there leave the monitor as it was."""
        tenant = await relational.tenants.add(a_tenant())
        channels = [
            await relational.channels.add(tenant.id, a_channel(tenant.id)) for _ in range(2)
        ]
        taken = await relational.monitors.add(tenant.id, a_monitor(tenant.id))
        monitor = a_monitor(tenant.id, channel_ids=(channels[0].id,))
        await relational.monitors.add(tenant.id, monitor)
        await relational.channels.remove(tenant.id, channels[1].id)
        both = tuple(channel.id for channel in channels)
        error = await refusal_of(
            relational.monitors.update(tenant.id, evolve(monitor, body="x", channel_ids=both))
        )
        assert isinstance(error, NotFoundError)
        assert (error.entity, error.key) == ("channel", str(channels[1].id))
        renamed = evolve(monitor, name=taken.name, channel_ids=(), body="x")
        error = await refusal_of(relational.monitors.update(tenant.id, renamed))
        assert isinstance(error, AlreadyExistsError)
        assert (error.entity, error.field) == ("monitor", "name")
        assert await relational.monitors.get(tenant.id, monitor.id) == monitor

    async def test_set_enabled(self, relational: RelationalStores) -> None:
        """A monitor is paused and resumed whatever its version; what is so already stays."""
        tenant = await relational.tenants.add(a_tenant())
        monitor = await relational.monitors.add(tenant.id, a_monitor(tenant.id))
        expected = monitor
        steps = [(True, None), (False, None), (False, "why"), (False, ""), (True, None)]
        for version, (enabled, reason) in enumerate(steps, start=1):
            at = NOON + timedelta(microseconds=version - 1)
            expected = evolve(
                expected, enabled=enabled, pause_reason=reason, version=version, updated_at=at
            )
            for instant in (at, at + timedelta(days=1)):
                answer = await relational.monitors.set_enabled(
                    tenant.id, monitor.id, enabled=enabled, at=instant, reason=reason
                )
                assert answer == expected
            assert await relational.monitors.get(tenant.id, monitor.id) == expected

    async def test_set_enabled_keeps_the_rest(self, relational: RelationalStores) -> None:
        """Pausing touches no other field, channels among them."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
        monitor = a_monitor(tenant.id, channel_ids=(channel.id,), tags=("a",), body="x")
        await relational.monitors.add(tenant.id, monitor)
        for reason in HOSTILE_TEXTS:
            paused = await relational.monitors.set_enabled(
                tenant.id, monitor.id, enabled=False, at=_LATER, reason=reason
            )
            assert paused == evolve(
                monitor,
                enabled=False,
                pause_reason=reason,
                updated_at=_LATER,
                version=paused.version,
            )
            assert await relational.monitors.get(tenant.id, monitor.id) == paused

    async def test_set_enabled_arguments(self, relational: RelationalStores) -> None:
        """A reason to resume, a reason that is no text of 500, and a naive instant are refused."""
        tenant = await relational.tenants.add(a_tenant())
        monitor = await relational.monitors.add(tenant.id, a_monitor(tenant.id))
        repo = relational.monitors
        for call, field in (
            (
                repo.set_enabled(tenant.id, monitor.id, enabled=True, at=NOON, reason="x"),
                "reason",
            ),
            *(
                (
                    repo.set_enabled(tenant.id, monitor.id, enabled=False, at=NOON, reason=reason),
                    "reason",
                )
                for reason in ("x" * 501, *IMPOSSIBLE_TEXTS)
            ),
            (
                repo.set_enabled(
                    tenant.id, monitor.id, enabled=False, at=NOON.replace(tzinfo=None)
                ),
                "at",
            ),
        ):
            error = await refusal_of(call)
            assert isinstance(error, InvalidValueError)
            assert error.field == field
        assert await repo.get(tenant.id, monitor.id) == monitor

    async def test_remove(self, relational: RelationalStores) -> None:
        """A monitor goes with its alerts, repeatably; channels and other monitors stay."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
        one, two = [
            await relational.monitors.add(
                tenant.id, a_monitor(tenant.id, channel_ids=(channel.id,))
            )
            for _ in range(2)
        ]
        alerts = [an_alert(tenant.id, monitor.id) for monitor in (one, two)]
        for alert in alerts:
            await relational.alerts.open(tenant.id, alert)
        for monitor_id in (one.id, one.id, MonitorId.new()):
            await relational.monitors.remove(tenant.id, monitor_id)
        for call in (
            relational.monitors.get(tenant.id, one.id),
            relational.alerts.get(tenant.id, alerts[0].id),
        ):
            assert isinstance(await refusal_of(call), NotFoundError)
        assert (await relational.monitors.list(tenant.id)).items == (two,)
        assert await relational.alerts.get(tenant.id, alerts[1].id) == alerts[1]
        assert await relational.channels.get(tenant.id, channel.id) == channel
        assert await relational.monitors.add(tenant.id, one) == one
        assert (await relational.alerts.list(tenant.id, monitor_id=one.id)).items == ()
