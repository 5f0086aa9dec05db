"""The contract of `ChannelRepo`: counting deliveries, and isolation."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import pytest
from attrs import evolve

from urlmon.domain.channels import ChannelHealth
from urlmon.domain.ids import ChannelId, MonitorId, TenantId
from urlmon.domain.secrets import Secret
from urlmon.errors import InvalidValueError, UrlmonError
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.isolation import (
    assert_nil_refused,
    assert_same_refusal,
    refusal_of,
)
from urlmon.testing.contracts.stores import RelationalStores
from urlmon.testing.contracts.texts import IMPOSSIBLE_TEXTS

_SECOND: Final = timedelta(seconds=1)


class DeliveryContract:
    """What every `ChannelRepo.record_delivery` must hold."""

    async def test_deliveries(self, relational: RelationalStores) -> None:
        """Failures in a row are counted, a success ends the row, the version stays."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
        successes = None
        for number, (error, failures) in enumerate(
            [("a", 1), ("b" * 500, 2), (None, 0), (None, 0), ("c", 1)]
        ):
            at = NOON + number * timedelta(microseconds=1)
            successes = at if error is None else successes
            expected = ChannelHealth(
                consecutive_failures=failures,
                last_delivery_at=at,
                last_success_at=successes,
                last_error=error,
            )
            for _ in range(2):
                health = await relational.channels.record_delivery(
                    tenant.id, channel.id, at=at, error=error
                )
                assert health == expected
            stored = await relational.channels.get(tenant.id, channel.id)
            assert stored == evolve(channel, health=expected)

    async def test_late_deliveries(self, relational: RelationalStores) -> None:
        """A delivery that is not later than the newest counted one changes nothing."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
        newest = await relational.channels.record_delivery(
            tenant.id, channel.id, at=NOON, error="timeout"
        )
        for at in (NOON, NOON - timedelta(microseconds=1)):
            for error in (None, "other"):
                health = await relational.channels.record_delivery(
                    tenant.id, channel.id, at=at, error=error
                )
                assert health == newest
        assert (await relational.channels.get(tenant.id, channel.id)).health == newest

    async def test_impossible_deliveries(self, relational: RelationalStores) -> None:
        """What is no delivery is refused, a late one too, and nothing is counted."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
        health = await relational.channels.record_delivery(tenant.id, channel.id, at=NOON)
        for at in (NOON - _SECOND, NOON + _SECOND):
            for error in ("", "x" * 501, *IMPOSSIBLE_TEXTS):
                refusal = await refusal_of(
                    relational.channels.record_delivery(tenant.id, channel.id, at=at, error=error)
                )
                assert isinstance(refusal, InvalidValueError)
            refusal = await refusal_of(
                relational.channels.record_delivery(
                    tenant.id, channel.id, at=at.replace(tzinfo=None)
                )
            )
            assert isinstance(refusal, InvalidValueError)
        assert (await relational.channels.get(tenant.id, channel.id)).health == health

    async def test_race_of_deliveries(self, relational: RelationalStores) -> None:
        """None of many deliveries that are counted at once is lost, and none counts twice."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
        answers = await asyncio.gather(
            *(
                relational.channels.record_delivery(
                    tenant.id, channel.id, at=NOON + number // 2 * _SECOND, error=f"{number // 2}"
                )
                for number in range(24)
            )
        )
        health = (await relational.channels.get(tenant.id, channel.id)).health
        # Those that came after a later one do not count: each other one is in some answer.
        counted = {answer.last_delivery_at: answer.consecutive_failures for answer in answers}
        assert health.last_delivery_at == NOON + 11 * _SECOND
        assert health.last_error == "11"
        assert health.consecutive_failures == len(counted)
        assert sorted(counted.values()) == list(range(1, len(counted) + 1))


class ChannelIsolationContract:
    """What every `ChannelRepo` must keep from other tenants."""

    async def test_the_nil_tenant_is_refused(self, relational: RelationalStores) -> None:
        """No method serves the nil tenant."""
        repo, channel = relational.channels, a_channel(TenantId.new())
        await assert_nil_refused(
            lambda nil: repo.add(nil, channel),
            lambda nil: repo.get(nil, channel.id),
            repo.list,
            lambda nil: repo.for_monitor(nil, MonitorId.new()),
            lambda nil: repo.update(nil, channel),
            lambda nil: repo.remove(nil, channel.id),
            lambda nil: repo.reveal(nil, channel.id),
            lambda nil: repo.record_delivery(nil, channel.id, at=NOON),
        )

    async def test_a_channel_names_its_tenant(self, relational: RelationalStores) -> None:
        """A channel cannot be stored for a tenant that it does not name."""
        tenant, other = [await relational.tenants.add(a_tenant()) for _ in range(2)]
        channel = a_channel(tenant.id)
        for call in (
            relational.channels.add(other.id, channel),
            relational.channels.update(other.id, channel),
        ):
            error = await refusal_of(call)
            assert isinstance(error, InvalidValueError)
            assert error.field == "tenant_id"

    @pytest.mark.parametrize("stranger", ["tenant", "nobody"])
    async def test_a_stranger_finds_nothing(
        self, relational: RelationalStores, stranger: str
    ) -> None:
        """Another tenant's channel is refused like none, whoever asks, and stays as it is."""
        tenant = await relational.tenants.add(a_tenant())
        asking = TenantId.new()
        if stranger == "tenant":
            asking = (await relational.tenants.add(a_tenant())).id
        repo, theirs = relational.channels, a_channel(tenant.id)
        await repo.add(tenant.id, theirs, secrets={"token": Secret("x")})
        monitor = a_monitor(tenant.id, channel_ids=(theirs.id,))
        await relational.monitors.add(tenant.id, monitor)
        assert (await repo.list(asking)).items == ()
        assert await repo.for_monitor(asking, monitor.id) == ()
        await repo.remove(asking, theirs.id)
        foreign = await _refusals(relational, asking, theirs.id)
        unknown_id = ChannelId.new()
        unknown = await _refusals(relational, asking, unknown_id)
        for error, like in zip(foreign, unknown, strict=True):
            assert_same_refusal(error, like, keys=(theirs.id, unknown_id))
        assert await repo.get(tenant.id, theirs.id) == theirs
        assert await repo.reveal(tenant.id, theirs.id) == {"token": Secret("x")}
        assert await relational.monitors.get(tenant.id, monitor.id) == monitor

    async def test_tenants_do_not_collide(self, relational: RelationalStores) -> None:
        """Two tenants may have channels of one id and name, and each has its own."""
        ours, theirs = [(await relational.tenants.add(a_tenant())).id for _ in range(2)]
        channel = a_channel(ours)
        monitor = a_monitor(ours, channel_ids=(channel.id,))
        rows = [channel, evolve(channel, tenant_id=theirs, config={"to": "somewhere"})]
        for row in (*rows, *rows):
            secrets = {"owner": Secret(str(row.tenant_id))}
            assert await relational.channels.add(row.tenant_id, row, secrets=secrets) == row
        for row in rows:
            same = evolve(monitor, tenant_id=row.tenant_id)
            await relational.monitors.add(row.tenant_id, same)
        for row in rows:
            assert (await relational.channels.list(row.tenant_id)).items == (row,)
            assert await relational.channels.for_monitor(row.tenant_id, monitor.id) == (row,)
            revealed = await relational.channels.reveal(row.tenant_id, row.id)
            assert revealed == {"owner": Secret(str(row.tenant_id))}
        await relational.channels.remove(ours, channel.id)
        assert await relational.channels.for_monitor(ours, monitor.id) == ()
        assert await relational.channels.for_monitor(theirs, monitor.id) == (rows[1],)
        kept = await relational.monitors.get(theirs, monitor.id)
        assert kept == evolve(monitor, tenant_id=theirs)


async def _refusals(
    relational: RelationalStores, tenant_id: TenantId, channel_id: ChannelId
) -> list[UrlmonError]:
    """Return what each call that needs a channel says to a tenant without it."""
    repo = relational.channels
    return [
        await refusal_of(call)
        for call in (
            repo.get(tenant_id, channel_id),
            repo.update(tenant_id, a_channel(tenant_id, id=channel_id)),
            repo.reveal(tenant_id, channel_id),
            repo.record_delivery(tenant_id, channel_id, at=NOON),
        )
    ]
