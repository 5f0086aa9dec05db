"""The contract of `ChannelRepo`: reading channels and secrets."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from attrs import evolve

from urlmon.domain.ids import ChannelId, MonitorId, TenantId
from urlmon.domain.secrets import Secret
from urlmon.errors import NotFoundError
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.isolation import (
    refusal_of,
)
from urlmon.testing.contracts.paging import assert_page_arguments, assert_pages
from urlmon.testing.contracts.stores import RelationalStores

_CANARY: Final = "canary-5f0c1a"


class ReadingContract:
    """What reading through every `ChannelRepo` must hold."""

    async def test_what_is_missing(self, relational: RelationalStores) -> None:
        """A channel, or a tenant for it, that does not exist is not found, by name and key."""
        tenant = await relational.tenants.add(a_tenant())
        channel = a_channel(tenant.id)
        for call in (
            relational.channels.get(tenant.id, channel.id),
            relational.channels.reveal(tenant.id, channel.id),
            relational.channels.update(tenant.id, channel),
            relational.channels.record_delivery(tenant.id, channel.id, at=NOON),
        ):
            error = await refusal_of(call)
            assert isinstance(error, NotFoundError)
            assert (error.entity, error.key) == ("channel", str(channel.id))
        nobody = TenantId.new()
        error = await refusal_of(relational.channels.add(nobody, a_channel(nobody)))
        assert isinstance(error, NotFoundError)
        assert (error.entity, error.key) == ("tenant", str(nobody))

    async def test_list(self, relational: RelationalStores) -> None:
        """Channels are listed in order of their ids, in pages, enabled or not."""
        tenant = await relational.tenants.add(a_tenant())
        assert (await relational.channels.list(tenant.id)).items == ()
        made = [a_channel(tenant.id, enabled=bool(number % 2)) for number in range(5)]
        for channel in reversed(made):
            await relational.channels.add(tenant.id, channel, secrets={"token": Secret("x")})
        await assert_pages(
            lambda cursor, limit: relational.channels.list(tenant.id, cursor=cursor, limit=limit),
            sorted(made, key=attrgetter("id")),
        )

    async def test_list_arguments(self, relational: RelationalStores) -> None:
        """Limits out of range and cursors of other lists are refused."""
        tenant, other = [await relational.tenants.add(a_tenant()) for _ in range(2)]
        for owner in (tenant, tenant, other, other):
            await relational.channels.add(owner.id, a_channel(owner.id))
            await relational.monitors.add(owner.id, a_monitor(owner.id))
        await assert_page_arguments(
            lambda cursor, limit: relational.channels.list(tenant.id, cursor=cursor, limit=limit),
            others=[
                relational.channels.list(other.id, limit=1),
                relational.monitors.list(tenant.id, limit=1),
                relational.tenants.list(limit=1),
            ],
        )

    async def test_for_monitor(self, relational: RelationalStores) -> None:
        """The enabled channels of a monitor come in order of their ids, as they are now."""
        tenant = await relational.tenants.add(a_tenant())
        ids = sorted(ChannelId.new() for _ in range(4))
        channels = [
            await relational.channels.add(
                tenant.id, a_channel(tenant.id, id=channel_id, enabled=enabled)
            )
            for channel_id, enabled in zip(ids, (True, False, True, True), strict=True)
        ]
        monitor = await relational.monitors.add(
            tenant.id,
            a_monitor(tenant.id, channel_ids=tuple(ids[2::-1])),
        )
        other = await relational.monitors.add(tenant.id, a_monitor(tenant.id))
        wanted = (channels[0], channels[2])
        assert await relational.channels.for_monitor(tenant.id, monitor.id) == wanted
        assert await relational.channels.for_monitor(tenant.id, other.id) == ()
        assert await relational.channels.for_monitor(tenant.id, MonitorId.new()) == ()
        off = await relational.channels.update(tenant.id, evolve(wanted[0], enabled=False))
        await relational.channels.record_delivery(tenant.id, wanted[1].id, at=NOON)
        left = (await relational.channels.get(tenant.id, wanted[1].id),)
        assert await relational.channels.for_monitor(tenant.id, monitor.id) == left
        await relational.channels.remove(tenant.id, wanted[1].id)
        assert await relational.channels.for_monitor(tenant.id, monitor.id) == ()
        on = await relational.channels.update(tenant.id, evolve(off, enabled=True))
        assert await relational.channels.for_monitor(tenant.id, monitor.id) == (on,)

    async def test_reveal(self, relational: RelationalStores) -> None:
        """Secrets come back exactly, up to twenty of the longest; what one gets is a copy."""
        tenant = await relational.tenants.add(a_tenant())
        given = {
            f"{number:\N{SNOWMAN}>100}": Secret("\N{PILE OF POO}" * 4096) for number in range(20)
        }
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id), secrets=given)
        expected = dict(given)
        given.clear()
        revealed = await relational.channels.reveal(tenant.id, channel.id)
        assert revealed == expected
        assert isinstance(revealed, dict)
        revealed.clear()
        assert await relational.channels.reveal(tenant.id, channel.id) == expected

    async def test_secrets_do_not_show(self, relational: RelationalStores) -> None:
        """No answer and no error spells a secret out, nor do they when printed."""
        tenant = await relational.tenants.add(a_tenant())
        monitor = a_monitor(tenant.id)
        repo, channel = relational.channels, a_channel(tenant.id)
        secrets = {"token": Secret(_CANARY)}
        answers: list[object] = [
            await repo.add(tenant.id, channel, secrets=secrets),
            await repo.add(tenant.id, channel, secrets=secrets),
            await refusal_of(repo.add(tenant.id, channel, secrets={"other": Secret(_CANARY)})),
            await refusal_of(repo.add(tenant.id, a_channel(tenant.id, version=2), secrets=secrets)),
            await refusal_of(repo.update(tenant.id, a_channel(tenant.id), secrets=secrets)),
            await repo.update(tenant.id, channel, secrets=secrets),
            await refusal_of(repo.update(tenant.id, channel, secrets={"other": Secret(_CANARY)})),
            await repo.reveal(tenant.id, channel.id),
            await repo.list(tenant.id),
            await relational.monitors.add(tenant.id, evolve(monitor, channel_ids=(channel.id,))),
            await repo.for_monitor(tenant.id, monitor.id),
            await repo.record_delivery(tenant.id, channel.id, at=NOON),
        ]
        for answer in answers:
            assert _CANARY not in repr(answer)
            assert _CANARY not in str(answer)
        revealed = await repo.reveal(tenant.id, channel.id)
        assert revealed["token"].reveal() == _CANARY
