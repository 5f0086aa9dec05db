"""The contract of `ChannelRepo`: updating and removing channels."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from attrs import evolve

from urlmon.domain.channels import ChannelHealth, ChannelKind
from urlmon.domain.ids import ChannelId
from urlmon.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
)
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON
from urlmon.testing.contracts._channels_add import OTHER_TOKEN, TOKEN
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import RelationalStores

_LATER: Final = NOON + timedelta(microseconds=1)


class UpdatingContract:
    """What every `ChannelRepo.update` must hold."""

    async def test_update(self, relational: RelationalStores) -> None:
        """Name, kind, config, enabled and its instant are replaced, all else is kept."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id), secrets=TOKEN)
        health = await relational.channels.record_delivery(
            tenant.id, channel.id, at=NOON, error="timeout"
        )
        wanted = evolve(
            channel,
            name="New",
            kind=ChannelKind.EMAIL,
            config={"to": "someone@example.com"},
            enabled=False,
            health=ChannelHealth(consecutive_failures=7),
            created_at=_LATER,
            updated_at=_LATER,
        )
        changed = await relational.channels.update(tenant.id, wanted)
        assert changed == evolve(wanted, health=health, created_at=channel.created_at, version=2)
        assert await relational.channels.get(tenant.id, channel.id) == changed
        assert await relational.channels.update(tenant.id, wanted) == changed, "a repeat"
        assert await relational.channels.reveal(tenant.id, channel.id) == TOKEN
        await relational.channels.add(tenant.id, a_channel(tenant.id, name=channel.name))

    async def test_update_of_secrets(self, relational: RelationalStores) -> None:
        """Secrets are replaced as a whole, kept where none are given, cleared by no secrets."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id), secrets=TOKEN)
        for given, stored in (
            (None, TOKEN),
            (OTHER_TOKEN, OTHER_TOKEN),
            (None, OTHER_TOKEN),
            ({}, {}),
            (None, {}),
            (TOKEN, TOKEN),
        ):
            changed = await relational.channels.update(tenant.id, channel, secrets=given)
            assert changed == evolve(channel, version=channel.version + 1)
            assert await relational.channels.reveal(tenant.id, channel.id) == stored
            again = await relational.channels.update(tenant.id, channel, secrets=given)
            assert again == changed, "a repeat"
            channel = changed

    async def test_update_of_another_version(self, relational: RelationalStores) -> None:
        """Who has not seen the present version is told which it is, and changes nothing."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
        second = await relational.channels.update(tenant.id, channel, secrets=TOKEN)
        third = await relational.channels.update(tenant.id, evolve(second, name="Newer"))
        for stale, secrets in (
            (channel, None),
            (channel, TOKEN),
            (second, None),
            (evolve(second, name="Newer"), {}),
            (evolve(second, name="Newest"), None),
            (evolve(second, version=9), TOKEN),
        ):
            error = await refusal_of(relational.channels.update(tenant.id, stale, secrets=secrets))
            assert isinstance(error, ConflictError)
            assert (error.entity, error.current) == ("channel", "3")
        assert await relational.channels.get(tenant.id, channel.id) == third
        assert await relational.channels.reveal(tenant.id, channel.id) == TOKEN

    async def test_repeat_with_other_secrets(self, relational: RelationalStores) -> None:
        """The same update with other secrets is not a repeat."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
        await relational.channels.update(tenant.id, channel, secrets=TOKEN)
        for secrets in ({}, OTHER_TOKEN):
            error = await refusal_of(
                relational.channels.update(tenant.id, channel, secrets=secrets)
            )
            assert isinstance(error, ConflictError)
            assert error.current == "2"
        assert await relational.channels.reveal(tenant.id, channel.id) == TOKEN

    async def test_update_to_a_name_that_is_taken(self, relational: RelationalStores) -> None:
        """Another channel's name is refused, and nothing is changed; the own name is free."""
        tenant = await relational.tenants.add(a_tenant())
        taken = await relational.channels.add(tenant.id, a_channel(tenant.id))
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id), secrets=TOKEN)
        error = await refusal_of(
            relational.channels.update(
                tenant.id, evolve(channel, name=taken.name, enabled=False), secrets=OTHER_TOKEN
            )
        )
        assert isinstance(error, AlreadyExistsError)
        assert (error.entity, error.field) == ("channel", "name")
        assert await relational.channels.get(tenant.id, channel.id) == channel
        assert await relational.channels.reveal(tenant.id, channel.id) == TOKEN

    async def test_race_of_updates(self, relational: RelationalStores) -> None:
        """Of many that change one version at once, one does and the others meet a conflict."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
        for _ in range(4):
            answers = await asyncio.gather(
                *(
                    relational.channels.update(tenant.id, evolve(channel, name=f"{number}"))
                    for number in range(8)
                ),
                return_exceptions=True,
            )
            assert sum(isinstance(answer, ConflictError) for answer in answers) == 7
            channel = await relational.channels.get(tenant.id, channel.id)
            assert channel in answers


class RemovingContract:
    """What every `ChannelRepo.remove` must hold."""

    async def test_remove(self, relational: RelationalStores) -> None:
        """A channel goes with its secrets, repeatably, and id and name are free again."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id), secrets=TOKEN)
        kept = await relational.channels.add(tenant.id, a_channel(tenant.id), secrets=TOKEN)
        for channel_id in (channel.id, channel.id, ChannelId.new()):
            await relational.channels.remove(tenant.id, channel_id)
        assert (await relational.channels.list(tenant.id)).items == (kept,)
        for call in (
            relational.channels.get(tenant.id, channel.id),
            relational.channels.reveal(tenant.id, channel.id),
        ):
            assert isinstance(await refusal_of(call), NotFoundError)
        assert await relational.channels.add(tenant.id, channel) == channel
        assert await relational.channels.reveal(tenant.id, channel.id) == {}
        assert await relational.channels.reveal(tenant.id, kept.id) == TOKEN

    async def test_remove_takes_it_off_monitors(self, relational: RelationalStores) -> None:
        """Monitors that notify it lose it, in a new version, and the change feed says so."""
        tenant = await relational.tenants.add(a_tenant())
        first, gone, last = [
            await relational.channels.add(tenant.id, a_channel(tenant.id)) for _ in range(3)
        ]
        monitors = [
            await relational.monitors.add(tenant.id, a_monitor(tenant.id, channel_ids=channel_ids))
            for channel_ids in (
                (last.id, gone.id, first.id),
                (gone.id,),
                (first.id, last.id),
            )
        ]
        before = await _caught_up(relational, {(each.id, 1) for each in monitors})
        await relational.channels.remove(tenant.id, gone.id)
        expected = [
            evolve(monitors[0], channel_ids=(last.id, first.id), version=2),
            evolve(monitors[1], channel_ids=(), version=2),
            monitors[2],
        ]
        for monitor in expected:
            assert await relational.monitors.get(tenant.id, monitor.id) == monitor
        await _caught_up(relational, {(each.id, 2) for each in expected[:2]}, cursor=before)

    async def test_race_of_removals(self, relational: RelationalStores) -> None:
        """Channels that the same monitors notify can be removed at once."""
        tenant = await relational.tenants.add(a_tenant())
        channels = [
            await relational.channels.add(tenant.id, a_channel(tenant.id)) for _ in range(6)
        ]
        ids = tuple(channel.id for channel in channels)
        monitors = [
            await relational.monitors.add(tenant.id, a_monitor(tenant.id, channel_ids=order))
            for order in (ids, ids[::-1], ids[3:] + ids[:3])
        ]
        await asyncio.gather(
            *(relational.channels.remove(tenant.id, each) for each in ids + ids[::-1])
        )
        assert (await relational.channels.list(tenant.id)).items == ()
        for monitor in monitors:
            stored = await relational.monitors.get(tenant.id, monitor.id)
            assert stored == evolve(monitor, channel_ids=(), version=7)


async def _caught_up(
    relational: RelationalStores, expected: set[tuple[object, int]], *, cursor: str | None = None
) -> str | None:
    """Follow the change feed until it has reported these monitors in these versions."""
    seen: dict[object, int] = {}
    async with asyncio.timeout(30):
        while not expected <= seen.items():
            page = await relational.directory.changes(cursor=cursor)
            cursor = page.next_cursor
            seen |= {each.monitor_id: each.monitor.version for each in page.items if each.monitor}
            await asyncio.sleep(0.01)  # an older transaction elsewhere holds it up
    return cursor
