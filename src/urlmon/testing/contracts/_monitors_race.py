"""What every `MonitorRepo` must pass: calls at the same time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from attrs import evolve

from urlmon.domain.tenants import TenantLimits
from urlmon.errors import (
    AlreadyExistsError,
    ConflictError,
    LimitExceededError,
    NotFoundError,
    UrlmonError,
)
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.stores import RelationalStores


class MonitorRacesContract:
    """The part of the contract of `MonitorRepo` about calls at the same time."""

    async def test_race_for_the_last_places(self, relational: RelationalStores) -> None:
        """Of many that are added at once, as many are as the tenant may have."""
        tenant = await relational.tenants.add(a_tenant(limits=TenantLimits(max_monitors=3)))
        answers = await asyncio.gather(
            *(relational.monitors.add(tenant.id, a_monitor(tenant.id)) for _ in range(12)),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, LimitExceededError) for answer in answers) == 9
        assert len((await relational.monitors.list(tenant.id)).items) == 3

    async def test_race_for_a_name(self, relational: RelationalStores) -> None:
        """Of many that want one name at once, by adding and by renaming, one gets it."""
        tenant = await relational.tenants.add(a_tenant())
        others = [await relational.monitors.add(tenant.id, a_monitor(tenant.id)) for _ in range(4)]
        repo = relational.monitors
        answers = await asyncio.gather(
            *(repo.add(tenant.id, a_monitor(tenant.id, name="wanted")) for _ in range(4)),
            *(repo.update(tenant.id, evolve(other, name="wanted")) for other in others),
            return_exceptions=True,
        )
        refusals = [answer for answer in answers if isinstance(answer, UrlmonError)]
        assert len(refusals) == 7
        assert {(type(each), getattr(each, "field", "")) for each in refusals} == {
            (AlreadyExistsError, "name")
        }

    async def test_race_of_a_repeat(self, relational: RelationalStores) -> None:
        """A call that is made again while the first still runs gives the same answer."""
        tenant = await relational.tenants.add(a_tenant())
        channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
        monitor = a_monitor(tenant.id)
        repo = relational.monitors
        answers = await asyncio.gather(*(repo.add(tenant.id, monitor) for _ in range(8)))
        assert answers == [monitor] * 8
        wanted = evolve(monitor, name="New", channel_ids=(channel.id,))
        answers = await asyncio.gather(*(repo.update(tenant.id, wanted) for _ in range(8)))
        assert answers == [evolve(wanted, version=2)] * 8
        at = NOON + timedelta(hours=1)
        answers = await asyncio.gather(
            *(repo.set_enabled(tenant.id, monitor.id, enabled=False, at=at) for _ in range(8))
        )
        assert answers == [evolve(wanted, enabled=False, updated_at=at, version=3)] * 8

    async def test_race_of_updates(self, relational: RelationalStores) -> None:
        """Of many that change one version at once, one does and the others meet a conflict."""
        tenant = await relational.tenants.add(a_tenant())
        monitor = await relational.monitors.add(tenant.id, a_monitor(tenant.id))
        answers = await asyncio.gather(
            *(
                relational.monitors.update(tenant.id, evolve(monitor, body=f"{number}"))
                for number in range(8)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, ConflictError) for answer in answers) == 7
        assert await relational.monitors.get(tenant.id, monitor.id) in answers

    async def test_race_with_the_removal_of_a_channel(self, relational: RelationalStores) -> None:
        """A channel that is removed while a monitor takes it up is off the monitor in the end."""
        tenant = await relational.tenants.add(a_tenant())
        for _ in range(5):
            channel = await relational.channels.add(tenant.id, a_channel(tenant.id))
            monitors = [
                await relational.monitors.add(tenant.id, a_monitor(tenant.id)) for _ in range(3)
            ]
            answers = await asyncio.gather(
                *(
                    relational.monitors.update(
                        tenant.id, evolve(monitor, channel_ids=(channel.id,))
                    )
                    for monitor in monitors
                ),
                relational.channels.remove(tenant.id, channel.id),
                return_exceptions=True,
            )
            assert all(
                isinstance(answer, NotFoundError) or not isinstance(answer, BaseException)
                for answer in answers
            )
            found = await relational.monitors.get_many(tenant.id, [row.id for row in monitors])
            assert [row.channel_ids for row in found.values()] == [()] * 3
