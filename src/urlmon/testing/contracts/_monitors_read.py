"""What every `MonitorRepo` must pass: reading, and keeping tenants apart."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import pytest
from attrs import evolve

from urlmon.domain.ids import ChannelId, MonitorId
from urlmon.domain.monitors import Monitor
from urlmon.errors import InvalidValueError, NotFoundError
from urlmon.ports import MonitorRepo
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.isolation import (
    assert_nil_refused,
    assert_same_refusal,
    nil_tenant,
    refusal_of,
)
from urlmon.testing.contracts.paging import assert_page_arguments, assert_pages
from urlmon.testing.contracts.stores import RelationalStores
from urlmon.testing.contracts.texts import IMPOSSIBLE_TEXTS


class MonitorReadsContract:
    """The part of the contract of `MonitorRepo` about reading and tenants."""

    async def test_what_is_missing(self, relational: RelationalStores) -> None:
        """Tenant, monitor and channel are not found by these names, and with their keys."""
        tenant, nobody = await relational.tenants.add(a_tenant()), a_tenant()
        monitor, channel_id = a_monitor(tenant.id), ChannelId.new()
        repo = relational.monitors
        with_channel = evolve(monitor, channel_ids=(channel_id,))
        for call, expected in (
            (repo.add(nobody.id, a_monitor(nobody.id)), ("tenant", str(nobody.id))),
            (repo.add(tenant.id, with_channel), ("channel", str(channel_id))),
            (repo.get(tenant.id, monitor.id), ("monitor", str(monitor.id))),
            (repo.update(tenant.id, monitor), ("monitor", str(monitor.id))),
            (
                repo.set_enabled(tenant.id, monitor.id, enabled=True, at=NOON),
                ("monitor", str(monitor.id)),
            ),
        ):
            error = await refusal_of(call)
            assert isinstance(error, NotFoundError)
            assert (error.entity, error.key) == expected
        assert (await repo.list(tenant.id)).items == ()

    async def test_get_many(self, relational: RelationalStores) -> None:
        """Those that the tenant has are returned, once each, out of up to 1,000."""
        tenant = await relational.tenants.add(a_tenant())
        monitors = [
            await relational.monitors.add(tenant.id, a_monitor(tenant.id)) for _ in range(3)
        ]
        ids = [monitors[2].id, MonitorId.new(), monitors[0].id, monitors[2].id]
        found = await relational.monitors.get_many(tenant.id, ids)
        assert found == {monitors[0].id: monitors[0], monitors[2].id: monitors[2]}
        assert all(type(key) is MonitorId for key in found)
        assert await relational.monitors.get_many(tenant.id, []) == {}
        many = [MonitorId.new() for _ in range(1_000)]
        assert await relational.monitors.get_many(tenant.id, many) == {}
        error = await refusal_of(relational.monitors.get_many(tenant.id, [*many, many[0]]))
        assert isinstance(error, InvalidValueError)
        assert error.field == "monitor_ids"

    async def test_list(self, relational: RelationalStores) -> None:
        """Monitors are listed in order of their ids, in pages, by each filter and by all."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
        shapes: list[dict[str, Any]] = [
            {},
            {"tags": ("a", "b")},
            {"tags": ("b",), "enabled": False},
            {"tags": ("a",), "channel_ids": (channel.id,)},
            {"tags": ("A",), "enabled": False, "channel_ids": (channel.id,)},
            {"tags": ("a",), "enabled": False, "channel_ids": (channel.id,)},
            {"tags": ("a",), "enabled": False, "channel_ids": (channel.id,)},
        ]
        rows = [a_monitor(tenant.id, **shape) for shape in shapes]
        for row in reversed(rows):
            await relational.monitors.add(tenant.id, row)
        rows.sort(key=attrgetter("id"))
        for enabled in (None, True, False):
            for tag in (None, "a"):
                for channel_id in (None, channel.id):
                    await _assert_filtered(
                        relational.monitors,
                        rows,
                        {"enabled": enabled, "tag": tag, "channel_id": channel_id},
                    )
        for tag in ("c", "%", "a%", "a,b"):
            assert (await relational.monitors.list(tenant.id, tag=tag)).items == ()

    async def test_list_arguments(self, relational: RelationalStores) -> None:
        """Limits out of range, cursors of other lists and texts that are no tag are refused."""
        tenant, other = [await relational.tenants.add(a_tenant()) for _ in range(2)]
        for owner in (tenant, other):
            for _ in range(2):
                await relational.monitors.add(owner.id, a_monitor(owner.id))
        await assert_page_arguments(
            lambda cursor, limit: relational.monitors.list(tenant.id, cursor=cursor, limit=limit),
            others=[
                relational.tenants.list(limit=1),
                relational.monitors.list(other.id, limit=1),
                relational.directory.list_active(limit=1),
                relational.directory.changes(limit=1),
            ],
        )
        for tag in ("", "x" * 51, *IMPOSSIBLE_TEXTS):
            error = await refusal_of(relational.monitors.list(tenant.id, tag=tag))
            assert isinstance(error, InvalidValueError)
            assert error.field == "tag"

    async def test_isolation(self, relational: RelationalStores) -> None:
        """A stranger's monitor or channel is in every method like one that does not exist."""
        owner, stranger = [await relational.tenants.add(a_tenant()) for _ in range(2)]
        channel = await relational.channels.add(owner.id, a_channel(owner.id))
        mine = await relational.monitors.add(
            owner.id, a_monitor(owner.id, channel_ids=(channel.id,), tags=("a",))
        )
        unknown = a_monitor(stranger.id, id=MonitorId.new())
        repo, her = relational.monitors, stranger.id
        theirs = evolve(mine, tenant_id=her, channel_ids=())
        for foreign, absent in (
            (repo.get(her, mine.id), repo.get(her, unknown.id)),
            (repo.update(her, theirs), repo.update(her, unknown)),
            (
                repo.set_enabled(her, mine.id, enabled=False, at=NOON),
                repo.set_enabled(her, unknown.id, enabled=False, at=NOON),
            ),
        ):
            assert_same_refusal(
                await refusal_of(foreign), await refusal_of(absent), keys=(mine.id, unknown.id)
            )
        missing = evolve(unknown, channel_ids=(a_channel(her).id,))
        assert_same_refusal(
            await refusal_of(repo.add(her, evolve(unknown, channel_ids=(channel.id,)))),
            await refusal_of(repo.add(her, missing)),
            keys=(channel.id, missing.channel_ids[0]),
        )
        assert await repo.get_many(her, [mine.id]) == {}
        assert (await repo.list(her, tag="a")).items == ()
        assert (await repo.list(her, channel_id=channel.id)).items == ()
        await repo.remove(her, mine.id)
        assert await repo.get(owner.id, mine.id) == mine
        # Not even by a collision does she learn of its id and name.
        assert await repo.add(her, theirs) == theirs
        await repo.remove(her, mine.id)
        assert await repo.get(owner.id, mine.id) == mine

    @pytest.mark.parametrize("method", ["add", "update"])
    async def test_a_monitor_of_another_tenant(
        self, relational: RelationalStores, method: str
    ) -> None:
        """A monitor can be given for its own tenant only."""
        tenant, other = [await relational.tenants.add(a_tenant()) for _ in range(2)]
        call = getattr(relational.monitors, method)(other.id, a_monitor(tenant.id))
        error = await refusal_of(call)
        assert isinstance(error, InvalidValueError)
        assert error.field == "tenant_id"

    async def test_the_nil_tenant(self, relational: RelationalStores) -> None:
        """Every method refuses the nil UUID for a tenant."""
        repo = relational.monitors
        monitor = a_monitor((await relational.tenants.add(a_tenant())).id)
        await assert_nil_refused(
            lambda nil: repo.add(nil, monitor),
            lambda nil: repo.get(nil, monitor.id),
            lambda nil: repo.get_many(nil, [monitor.id]),
            repo.list,
            lambda nil: repo.update(nil, monitor),
            lambda nil: repo.set_enabled(nil, monitor.id, enabled=True, at=NOON),
            lambda nil: repo.remove(nil, monitor.id),
        )
        assert nil_tenant().int == 0


async def _assert_filtered(
    repo: MonitorRepo, rows: Sequence[Monitor], filters: dict[str, Any]
) -> None:
    """Assert that a list gives those of a tenant's monitors that all of its filters let pass."""
    enabled, tag, channel_id = filters["enabled"], filters["tag"], filters["channel_id"]
    expected = [
        row
        for row in rows
        if enabled in {None, row.enabled}
        and (tag is None or tag in row.tags)
        and (channel_id is None or channel_id in row.channel_ids)
    ]
    await assert_pages(
        lambda cursor, limit: repo.list(rows[0].tenant_id, cursor=cursor, limit=limit, **filters),
        expected,
    )
