"""What every `MonitorRepo` must pass: adding; three more modules have the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from urlmon.domain.monitors import Method, StatusRange
from urlmon.domain.tenants import TenantLimits
from urlmon.errors import AlreadyExistsError, InvalidValueError, LimitExceededError
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON
from urlmon.testing.contracts._monitors_change import MonitorChangesContract
from urlmon.testing.contracts._monitors_race import MonitorRacesContract
from urlmon.testing.contracts._monitors_read import MonitorReadsContract
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import RelationalStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS


class MonitorRepoContract(MonitorReadsContract, MonitorChangesContract, MonitorRacesContract):
    """The contract of `MonitorRepo`."""

    async def test_add_then_get(self, relational: RelationalStores) -> None:
        """A monitor is stored as given, with every field set and with none."""
        tenant = await relational.tenants.add(a_tenant())
        channels = [
            await relational.channels.add(tenant.id, a_channel(tenant.id)) for _ in range(3)
        ]
        full = a_monitor(
            tenant.id,
            url="https://[2001:db8::1]:8443/%C3%A4?q=%20&q",
            method=Method.POST,
            headers=(("B", "2"), ("a", ""), ("B", "1")),
            body="{}",
            expected_statuses=(StatusRange.parse("404"), StatusRange.parse("200-299")),
            interval=timedelta(days=1),
            timeout=timedelta(milliseconds=12_345),
            locations=("eu-west", "ap-1", "a.b_c"),
            failure_threshold=20,
            recovery_threshold=20,
            reminder_interval=timedelta(days=30),
            enabled=False,
            pause_reason="",
            tags=("b", "a", "NULL"),
            channel_ids=tuple(channel.id for channel in reversed(channels)),
            created_at=datetime(2000, 1, 1, tzinfo=UTC),
            updated_at=datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        )
        for monitor in (full, a_monitor(tenant.id)):
            assert await relational.monitors.add(tenant.id, monitor) == monitor
            assert await relational.monitors.get(tenant.id, monitor.id) == monitor
            assert await relational.monitors.get_many(tenant.id, [monitor.id]) == {
                monitor.id: monitor
            }
        assert (await relational.monitors.list(tenant.id, enabled=False)).items == (full,)

    async def test_texts_come_back_exactly(self, relational: RelationalStores) -> None:
        """No text is changed on its way, in whichever field it stands."""
        tenant = await relational.tenants.add(a_tenant())
        value = "".join(HOSTILE_TEXTS).replace("\r", "").replace("\n", "")
        for text in HOSTILE_TEXTS:
            monitor = a_monitor(
                tenant.id,
                name=text,
                body=text,
                headers=(("X", value), ("Y", text.replace("\r", "").replace("\n", ""))),
                tags=(text, "x"),
                enabled=False,
                pause_reason=text,
            )
            await relational.monitors.add(tenant.id, monitor)
            assert await relational.monitors.get(tenant.id, monitor.id) == monitor
            page = await relational.monitors.list(tenant.id, tag=text)
            assert page.items == (monitor,)

    async def test_the_longest_values_fit(self, relational: RelationalStores) -> None:
        """What the domain permits at most is kept, counted in characters and not in bytes."""
        tenant = await relational.tenants.add(a_tenant())
        four_bytes = "\N{PILE OF POO}"
        monitor = a_monitor(
            tenant.id,
            name=four_bytes * 200,
            url="https://example.com/" + "x" * 2028,
            headers=tuple((f"{number:0>200}", four_bytes * 4096) for number in range(50)),
            body=four_bytes * 16_384,
            expected_statuses=tuple(StatusRange(first=200, last=200 + n) for n in range(20)),
            locations=tuple(f"{number:0>63}" for number in range(20)),
            enabled=False,
            pause_reason=four_bytes * 500,
            tags=tuple(chr(0x1F300 + number) * 50 for number in range(20)),
        )
        await relational.monitors.add(tenant.id, monitor)
        assert await relational.monitors.get(tenant.id, monitor.id) == monitor

    async def test_instants_come_back_exactly(self, relational: RelationalStores) -> None:
        """Every microsecond survives."""
        tenant = await relational.tenants.add(a_tenant())
        for microsecond in (1, 999, 1_000, 123_457, 999_999):
            at = NOON.replace(microsecond=microsecond)
            monitor = a_monitor(tenant.id, created_at=at, updated_at=at + timedelta(days=40_000))
            await relational.monitors.add(tenant.id, monitor)
            stored = await relational.monitors.get(tenant.id, monitor.id)
            assert (stored.created_at, stored.updated_at) == (at, monitor.updated_at)

    async def test_add_again(self, relational: RelationalStores) -> None:
        """The same monitor again gives the same answer, even at the limit, until it was changed."""
        tenant = await relational.tenants.add(a_tenant(limits=TenantLimits(max_monitors=1)))
        monitor = a_monitor(tenant.id)
        for _ in range(2):
            assert await relational.monitors.add(tenant.id, monitor) == monitor
        await relational.monitors.update(tenant.id, evolve(monitor, body="x"))
        error = await refusal_of(relational.monitors.add(tenant.id, monitor))
        assert isinstance(error, AlreadyExistsError)
        assert (error.entity, error.field) == ("monitor", "id")

    @pytest.mark.parametrize("field", ["id", "name"])
    async def test_add_what_is_taken(self, relational: RelationalStores, field: str) -> None:
        """Another monitor's id or name is refused by name; nothing is stored."""
        tenant = await relational.tenants.add(a_tenant())
        first = await relational.monitors.add(tenant.id, a_monitor(tenant.id, name="first"))
        second = a_monitor(tenant.id, **{"name": "second", field: getattr(first, field)})
        error = await refusal_of(relational.monitors.add(tenant.id, second))
        assert isinstance(error, AlreadyExistsError)
        assert (error.entity, error.field) == ("monitor", field)
        assert (await relational.monitors.list(tenant.id)).items == (first,)

    async def test_add_something_changed(self, relational: RelationalStores) -> None:
        """What claims to have been changed already cannot be added."""
        tenant = await relational.tenants.add(a_tenant())
        call = relational.monitors.add(tenant.id, a_monitor(tenant.id, version=2))
        error = await refusal_of(call)
        assert isinstance(error, InvalidValueError)
        assert error.field == "version"
        assert (await relational.monitors.list(tenant.id)).items == ()

    async def test_the_most_monitors(self, relational: RelationalStores) -> None:
        """A tenant at its limit gets no more; the limit is named with its value."""
        tenant = await relational.tenants.add(a_tenant(limits=TenantLimits(max_monitors=2)))
        monitors = [
            await relational.monitors.add(tenant.id, a_monitor(tenant.id)) for _ in range(2)
        ]
        error = await refusal_of(relational.monitors.add(tenant.id, a_monitor(tenant.id)))
        assert isinstance(error, LimitExceededError)
        assert (error.limit_name, error.limit) == ("max_monitors", "2")
        await relational.monitors.remove(tenant.id, monitors[0].id)
        await relational.monitors.add(tenant.id, a_monitor(tenant.id))

    async def test_the_shortest_interval(self, relational: RelationalStores) -> None:
        """An interval below the tenant's shortest is refused, at it accepted."""
        shortest = timedelta(seconds=30)
        limits = TenantLimits(shortest_interval=shortest)
        tenant = await relational.tenants.add(a_tenant(limits=limits))
        monitor = a_monitor(tenant.id, interval=shortest)
        await relational.monitors.add(tenant.id, monitor)
        below = timedelta(seconds=29)
        for call in (
            relational.monitors.add(tenant.id, a_monitor(tenant.id, interval=below)),
            relational.monitors.update(tenant.id, evolve(monitor, interval=below)),
        ):
            error = await refusal_of(call)
            assert isinstance(error, LimitExceededError)
            assert (error.limit_name, error.limit) == ("shortest_interval", "0:00:30")
        assert (await relational.monitors.list(tenant.id)).items == (monitor,)

    async def test_lower_limits_bind_what_follows(self, relational: RelationalStores) -> None:
        """What a tenant has when its limits are lowered stays, and can be paused and removed."""
        tenant = await relational.tenants.add(a_tenant())
        monitor = await relational.monitors.add(tenant.id, a_monitor(tenant.id))
        limits = TenantLimits(max_monitors=0, shortest_interval=timedelta(hours=1))
        await relational.tenants.update(evolve(tenant, limits=limits))
        assert await relational.monitors.add(tenant.id, monitor) == monitor
        longer = evolve(monitor, interval=timedelta(hours=1))
        assert (await relational.monitors.update(tenant.id, longer)).interval == longer.interval
        await relational.monitors.set_enabled(tenant.id, monitor.id, enabled=False, at=NOON)
        await relational.monitors.remove(tenant.id, monitor.id)
