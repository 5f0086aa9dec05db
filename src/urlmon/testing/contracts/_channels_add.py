"""The contract of `ChannelRepo`: adding channels."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import pytest
from attrs import evolve

from urlmon.domain.channels import ChannelHealth, ChannelKind
from urlmon.domain.secrets import Secret
from urlmon.errors import (
    AlreadyExistsError,
    InvalidValueError,
)
from urlmon.testing.builders import a_channel, a_tenant
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import RelationalStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS

TOKEN: Final = {"token": Secret("first token"), "password": Secret("first password")}
OTHER_TOKEN: Final = {"token": Secret("second token")}
_FIELDS: Final[tuple[dict[str, object], ...]] = (
    {"config": {}, "enabled": False},
    {"config": tuple((f"{n:0100}", "v" * (4096 if n == 7 else n)) for n in range(50))},
    {"config": (("z", "1"), ("a", ""), ("Z", "2"))},
    {"created_at": datetime(2000, 1, 1, tzinfo=UTC)},
    {"updated_at": datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)},
)
_IMPOSSIBLE_SECRETS: Final = (
    {f"name {number}": Secret("x") for number in range(21)},
    {"": Secret("x")},
    {"n" * 101: Secret("x")},
    {"nul\x00": Secret("x")},
    {"\ud800": Secret("x")},
    {1: Secret("x")},
    {"token": "plain text"},
    [("token", Secret("x"))],
)


class AddingContract:
    """What every `ChannelRepo.add` must hold."""

    async def test_add_then_get(self, relational: RelationalStores) -> None:
        """A channel is stored as given, at the limits of its fields too."""
        tenant = await relational.tenants.add(a_tenant())
        channels = [
            a_channel(tenant.id, name="x" * 200),
            *(a_channel(tenant.id, kind=kind, **each) for kind in ChannelKind for each in _FIELDS),
        ]
        for channel in channels:
            assert await relational.channels.add(tenant.id, channel) == channel
            assert await relational.channels.get(tenant.id, channel.id) == channel

    async def test_texts_come_back_exactly(self, relational: RelationalStores) -> None:
        """No text is changed on its way: names, settings, secrets and what went wrong."""
        tenant = await relational.tenants.add(a_tenant())
        for text in HOSTILE_TEXTS:
            channel = a_channel(tenant.id, name=text, config={text: text})
            secrets = {text: Secret(text)}
            await relational.channels.add(tenant.id, channel, secrets=secrets)
            assert await relational.channels.get(tenant.id, channel.id) == channel
            assert await relational.channels.reveal(tenant.id, channel.id) == secrets
            await relational.channels.record_delivery(tenant.id, channel.id, at=NOON, error=text)
            stored = await relational.channels.get(tenant.id, channel.id)
            assert stored.health.last_error == text

    async def test_instants_come_back_exactly(self, relational: RelationalStores) -> None:
        """Every microsecond survives, and the zone is UTC."""
        tenant = await relational.tenants.add(a_tenant())
        zone = timezone(timedelta(hours=-9, minutes=-30))
        for microsecond in (0, 1, 999, 1_000, 500_001, 999_999):
            at = NOON.replace(microsecond=microsecond).astimezone(zone)
            channel = a_channel(tenant.id, created_at=at, updated_at=at)
            await relational.channels.add(tenant.id, channel)
            await relational.channels.record_delivery(tenant.id, channel.id, at=at)
            stored = await relational.channels.get(tenant.id, channel.id)
            assert stored == evolve(
                channel, health=ChannelHealth(last_delivery_at=at, last_success_at=at)
            )
            assert {stored.created_at.tzinfo, stored.updated_at.tzinfo} == {UTC}

    async def test_add_again(self, relational: RelationalStores) -> None:
        """The same channel again gives the same answer, until it or its secrets were changed."""
        tenant = await relational.tenants.add(a_tenant())
        channel = a_channel(tenant.id)
        for _ in range(2):
            assert await relational.channels.add(tenant.id, channel, secrets=TOKEN) == channel
        health = await relational.channels.record_delivery(tenant.id, channel.id, at=NOON)
        again = await relational.channels.add(tenant.id, channel, secrets=TOKEN)
        assert again == evolve(channel, health=health)
        for secrets in (None, {}, OTHER_TOKEN, {**TOKEN, **OTHER_TOKEN}):
            error = await refusal_of(relational.channels.add(tenant.id, channel, secrets=secrets))
            assert isinstance(error, AlreadyExistsError)
            assert (error.entity, error.field) == ("channel", "id")
        await relational.channels.update(tenant.id, channel)
        error = await refusal_of(relational.channels.add(tenant.id, channel, secrets=TOKEN))
        assert isinstance(error, AlreadyExistsError)
        assert (error.entity, error.field) == ("channel", "id")
        assert await relational.channels.reveal(tenant.id, channel.id) == TOKEN

    async def test_no_secrets_are_none(self, relational: RelationalStores) -> None:
        """Whether no secrets are given as None or as an empty mapping is the same."""
        tenant = await relational.tenants.add(a_tenant())
        channel = a_channel(tenant.id)
        assert await relational.channels.add(tenant.id, channel) == channel
        assert await relational.channels.add(tenant.id, channel, secrets={}) == channel
        assert await relational.channels.reveal(tenant.id, channel.id) == {}

    async def test_add_what_is_taken(self, relational: RelationalStores) -> None:
        """Another channel's id or name is refused, the id first, and nothing is stored."""
        tenant = await relational.tenants.add(a_tenant())
        first = await relational.channels.add(tenant.id, a_channel(tenant.id))
        second = await relational.channels.add(tenant.id, a_channel(tenant.id))
        for field, taken in (
            ("id", {"id": first.id}),
            ("name", {"name": first.name}),
            ("id", {"id": first.id, "name": second.name}),
        ):
            error = await refusal_of(
                relational.channels.add(tenant.id, a_channel(tenant.id, **taken), secrets=TOKEN)
            )
            assert isinstance(error, AlreadyExistsError)
            assert (error.entity, error.field) == ("channel", field)
        assert set((await relational.channels.list(tenant.id)).items) == {first, second}
        assert await relational.channels.reveal(tenant.id, first.id) == {}

    async def test_add_what_cannot_be_new(self, relational: RelationalStores) -> None:
        """A channel that was changed or used already is refused, and nothing is stored."""
        tenant = await relational.tenants.add(a_tenant())
        for field, value in (
            ("version", 2),
            ("health", ChannelHealth(last_delivery_at=NOON)),
            ("health", ChannelHealth(consecutive_failures=1)),
        ):
            channel = a_channel(tenant.id, **{field: value})
            error = await refusal_of(relational.channels.add(tenant.id, channel))
            assert isinstance(error, InvalidValueError)
            assert error.field == field
        assert (await relational.channels.list(tenant.id)).items == ()

    @pytest.mark.parametrize("secrets", _IMPOSSIBLE_SECRETS)
    async def test_impossible_secrets(self, relational: RelationalStores, secrets: object) -> None:
        """What are no secrets is refused when adding and updating, and nothing is stored."""
        tenant = await relational.tenants.add(a_tenant())
        channel = a_channel(tenant.id)
        error = await refusal_of(relational.channels.add(tenant.id, channel, secrets=secrets))  # type: ignore[arg-type]
        assert isinstance(error, InvalidValueError)
        await relational.channels.add(tenant.id, channel, secrets=TOKEN)
        error = await refusal_of(relational.channels.update(tenant.id, channel, secrets=secrets))  # type: ignore[arg-type]
        assert isinstance(error, InvalidValueError)
        assert await relational.channels.get(tenant.id, channel.id) == channel
        assert await relational.channels.reveal(tenant.id, channel.id) == TOKEN

    async def test_race_for_a_name(self, relational: RelationalStores) -> None:
        """Of many that want one name at once, one gets it and the others are told so."""
        for _ in range(4):
            tenant = await relational.tenants.add(a_tenant())
            answers = await asyncio.gather(
                *(
                    relational.channels.add(tenant.id, a_channel(tenant.id, name="wanted"))
                    for _ in range(8)
                ),
                return_exceptions=True,
            )
            refusals = [answer for answer in answers if isinstance(answer, AlreadyExistsError)]
            assert [error.field for error in refusals] == ["name"] * 7
            (stored,) = (await relational.channels.list(tenant.id)).items
            assert stored in answers

    async def test_race_of_a_repeat(self, relational: RelationalStores) -> None:
        """A call that is made again while the first still runs gives the same answer."""
        tenant = await relational.tenants.add(a_tenant())
        for _ in range(4):
            channel = a_channel(tenant.id)
            answers = await asyncio.gather(
                *(relational.channels.add(tenant.id, channel, secrets=TOKEN) for _ in range(8))
            )
            assert answers == [channel] * 8
            answers = await asyncio.gather(
                *(relational.channels.update(tenant.id, channel, secrets=TOKEN) for _ in range(8))
            )
            assert answers == [evolve(channel, version=2)] * 8
