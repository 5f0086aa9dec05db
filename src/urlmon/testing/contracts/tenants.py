"""What every `TenantRepo` must pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from operator import attrgetter
from typing import Any

import pytest
from attrs import evolve

from urlmon.domain.ids import TenantId
from urlmon.domain.tenants import TenantLimits, TenantStatus
from urlmon.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidValueError,
    NotFoundError,
    UrlmonError,
)
from urlmon.testing.builders import a_channel, a_monitor, a_tenant, an_alert
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.isolation import assert_nil_refused, assert_same_refusal, refusal_of
from urlmon.testing.contracts.paging import assert_page_arguments, assert_pages
from urlmon.testing.contracts.stores import RelationalStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS

_LATER = NOON + timedelta(microseconds=1)


class TenantRepoContract:
    """The contract of `TenantRepo`."""

    async def test_add_then_get(self, relational: RelationalStores) -> None:
        """A tenant is stored as given, at the limits of its fields too."""
        for fields in (
            {},
            {
                "slug": "a",
                "name": "x" * 200,
                "status": TenantStatus.SUSPENDED,
                "limits": TenantLimits(max_monitors=1_000_000, shortest_interval=timedelta(days=1)),
                "created_at": datetime(2000, 1, 1, tzinfo=UTC),
                "updated_at": datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            },
            {
                "slug": "z" * 63,
                "limits": TenantLimits(max_monitors=0, shortest_interval=timedelta(seconds=1)),
            },
        ):
            tenant = a_tenant(**fields)
            assert await relational.tenants.add(tenant) == tenant
            assert await relational.tenants.get(tenant.id) == tenant

    async def test_add_again(self, relational: RelationalStores) -> None:
        """The same tenant again gives the same answer, until it was changed."""
        tenant = await relational.tenants.add(a_tenant())
        assert await relational.tenants.add(tenant) == tenant
        await relational.tenants.update(evolve(tenant, name="Another"))
        error = await refusal_of(relational.tenants.add(tenant))
        assert isinstance(error, AlreadyExistsError)
        assert (error.entity, error.field) == ("tenant", "id")

    @pytest.mark.parametrize("field", ["id", "slug"])
    async def test_add_what_is_taken(self, relational: RelationalStores, field: str) -> None:
        """Another tenant's id or slug is refused by name, and nothing is stored."""
        first = await relational.tenants.add(a_tenant(slug="first"))
        second = a_tenant(**{"slug": "second", field: getattr(first, field)})
        error = await refusal_of(relational.tenants.add(second))
        assert isinstance(error, AlreadyExistsError)
        assert (error.entity, error.field) == ("tenant", field)
        assert (await relational.tenants.list()).items == (first,)

    async def test_add_something_changed(self, relational: RelationalStores) -> None:
        """What claims to have been changed already cannot be added."""
        error = await refusal_of(relational.tenants.add(a_tenant(version=2)))
        assert isinstance(error, InvalidValueError)
        assert error.field == "version"
        assert (await relational.tenants.list()).items == ()

    async def test_texts_come_back_exactly(self, relational: RelationalStores) -> None:
        """No text is changed on its way."""
        for name in HOSTILE_TEXTS:
            tenant = await relational.tenants.add(a_tenant(name=name))
            assert (await relational.tenants.get(tenant.id)).name == name

    async def test_instants_come_back_exactly(self, relational: RelationalStores) -> None:
        """Every microsecond survives, and the zone is UTC."""
        zone = timezone(timedelta(hours=5, minutes=45))
        for microsecond in (0, 1, 999, 1_000, 500_001, 999_999):
            at = NOON.replace(microsecond=microsecond).astimezone(zone)
            tenant = await relational.tenants.add(a_tenant(created_at=at, updated_at=at))
            stored = await relational.tenants.get(tenant.id)
            assert stored.created_at == at
            assert stored.updated_at == at
            assert stored.created_at.tzinfo is UTC

    async def test_what_is_missing(self, relational: RelationalStores) -> None:
        """A tenant that does not exist is not found, by name and key."""
        tenant = a_tenant()
        for call in (
            relational.tenants.get(tenant.id),
            relational.tenants.update(tenant),
            relational.tenants.set_status(tenant.id, status=TenantStatus.ACTIVE, at=NOON),
        ):
            error = await refusal_of(call)
            assert isinstance(error, NotFoundError)
            assert (error.entity, error.key) == ("tenant", str(tenant.id))

    async def test_find_by_slug(self, relational: RelationalStores) -> None:
        """A slug leads to its tenant; text that is nobody's or cannot be one leads to None."""
        tenant = await relational.tenants.add(a_tenant(slug="the-one"))
        assert await relational.tenants.find_by_slug("the-one") == tenant
        for text in ("the-on", "THE-ONE", "the-one ", "", "%", "nul\x00", "\ud800", "x" * 100_000):
            assert await relational.tenants.find_by_slug(text) is None

    async def test_list(self, relational: RelationalStores) -> None:
        """Tenants are listed in order of their ids, in pages, by status where asked for."""
        assert (await relational.tenants.list()).items == ()
        tenants = [
            await relational.tenants.add(a_tenant(status=status))
            for status in (*TenantStatus, *TenantStatus, TenantStatus.ACTIVE)
        ]
        tenants.sort(key=attrgetter("id"))
        repo = relational.tenants
        await assert_pages(lambda cursor, limit: repo.list(cursor=cursor, limit=limit), tenants)
        for status in TenantStatus:

            def filtered(cursor: str | None, limit: int, status: TenantStatus = status) -> Any:
                return repo.list(status=status, cursor=cursor, limit=limit)

            await assert_pages(filtered, [row for row in tenants if row.status is status])

    async def test_list_arguments(self, relational: RelationalStores) -> None:
        """Limits out of range and cursors of other lists are refused."""
        tenant = await relational.tenants.add(a_tenant())
        for _ in range(2):
            await relational.monitors.add(tenant.id, a_monitor(tenant.id))
        await assert_page_arguments(
            lambda cursor, limit: relational.tenants.list(cursor=cursor, limit=limit),
            others=[
                relational.monitors.list(tenant.id, limit=1),
                relational.directory.changes(limit=1),
            ],
        )

    async def test_update(self, relational: RelationalStores) -> None:
        """Everything but id and making is replaced, and the version goes up by one."""
        tenant = await relational.tenants.add(a_tenant())
        wanted = evolve(
            tenant,
            slug="new-slug",
            name="New",
            status=TenantStatus.SUSPENDED,
            limits=TenantLimits(max_monitors=7, shortest_interval=timedelta(seconds=7)),
            created_at=_LATER,
            updated_at=_LATER,
        )
        changed = await relational.tenants.update(wanted)
        assert changed == evolve(wanted, created_at=tenant.created_at, version=2)
        assert await relational.tenants.get(tenant.id) == changed
        assert await relational.tenants.find_by_slug(tenant.slug) is None
        assert await relational.tenants.update(wanted) == changed, "a repeat"
        assert (await relational.tenants.get(tenant.id)).version == 2

    async def test_update_of_another_version(self, relational: RelationalStores) -> None:
        """Who has not seen the present version is told which it is, and changes nothing."""
        tenant = await relational.tenants.add(a_tenant())
        wanted = evolve(tenant, name="First")
        await relational.tenants.update(wanted)
        current = await relational.tenants.update(evolve(tenant, name="Second", version=2))
        for stale in (wanted, evolve(tenant, name="Third"), evolve(tenant, version=9)):
            error = await refusal_of(relational.tenants.update(stale))
            assert isinstance(error, ConflictError)
            assert (error.entity, error.current) == ("tenant", "3")
        assert await relational.tenants.get(tenant.id) == current

    async def test_update_to_a_slug_that_is_taken(self, relational: RelationalStores) -> None:
        """Another tenant's slug is refused, and nothing is changed."""
        taken = await relational.tenants.add(a_tenant())
        tenant = await relational.tenants.add(a_tenant())
        error = await refusal_of(
            relational.tenants.update(evolve(tenant, slug=taken.slug, name="New"))
        )
        assert isinstance(error, AlreadyExistsError)
        assert (error.entity, error.field) == ("tenant", "slug")
        assert await relational.tenants.get(tenant.id) == tenant

    async def test_set_status(self, relational: RelationalStores) -> None:
        """The status changes whatever the version; a tenant that has it stays as it is."""
        tenant = await relational.tenants.add(a_tenant())
        await relational.tenants.update(tenant)
        for version, status in ((2, TenantStatus.ACTIVE), (3, TenantStatus.SUSPENDED)):
            updated_at = tenant.updated_at if version == 2 else _LATER
            expected = evolve(tenant, status=status, version=version, updated_at=updated_at)
            for at in (_LATER, _LATER + timedelta(days=1)):
                answer = await relational.tenants.set_status(tenant.id, status=status, at=at)
                assert answer == expected
            assert await relational.tenants.get(tenant.id) == expected

    async def test_set_status_at_no_instant(self, relational: RelationalStores) -> None:
        """An instant without a zone is refused, and nothing is changed."""
        tenant = await relational.tenants.add(a_tenant())
        error = await refusal_of(
            relational.tenants.set_status(
                tenant.id, status=TenantStatus.SUSPENDED, at=NOON.replace(tzinfo=None)
            )
        )
        assert isinstance(error, InvalidValueError)
        assert await relational.tenants.get(tenant.id) == tenant

    async def test_remove(self, relational: RelationalStores) -> None:
        """A tenant goes with all it has, repeatably, and nobody else loses anything."""
        tenant, other = [await relational.tenants.add(a_tenant()) for _ in range(2)]
        rows = [await _furnish(relational, owner.id) for owner in (tenant, other)]
        for _ in range(2):
            await relational.tenants.remove(tenant.id)
        for call in (relational.tenants.get(tenant.id), *_reads(relational, tenant.id, rows[0])):
            assert isinstance(await refusal_of(call), NotFoundError)
        for call, row in zip(_reads(relational, other.id, rows[1]), rows[1], strict=True):
            assert await call == row
        again = await relational.tenants.add(a_tenant(slug=tenant.slug))
        assert (await relational.monitors.list(again.id)).items == ()
        await relational.tenants.add(evolve(tenant, slug="another"))
        assert (await relational.monitors.list(tenant.id)).items == ()

    async def test_race_for_a_slug(self, relational: RelationalStores) -> None:
        """Of many that want one slug at once, one gets it and the others are told so."""
        answers = await asyncio.gather(
            *(relational.tenants.add(a_tenant(slug="wanted")) for _ in range(8)),
            return_exceptions=True,
        )
        refusals = [answer for answer in answers if isinstance(answer, UrlmonError)]
        assert len(refusals) == 7
        assert {(type(each), getattr(each, "field", "")) for each in refusals} == {
            (AlreadyExistsError, "slug")
        }
        assert len((await relational.tenants.list()).items) == 1

    async def test_race_of_a_repeat(self, relational: RelationalStores) -> None:
        """A call that is made again while the first still runs gives the same answer."""
        tenant = a_tenant()
        answers = await asyncio.gather(*(relational.tenants.add(tenant) for _ in range(8)))
        assert answers == [tenant] * 8
        wanted = evolve(tenant, name="New")
        answers = await asyncio.gather(*(relational.tenants.update(wanted) for _ in range(8)))
        assert answers == [evolve(wanted, version=2)] * 8

    async def test_race_of_updates(self, relational: RelationalStores) -> None:
        """Of many that change one version at once, one does and the others meet a conflict."""
        tenant = await relational.tenants.add(a_tenant())
        answers = await asyncio.gather(
            *(relational.tenants.update(evolve(tenant, name=f"{n}")) for n in range(8)),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, ConflictError) for answer in answers) == 7
        assert await relational.tenants.get(tenant.id) in answers

    async def test_isolation(self, relational: RelationalStores) -> None:
        """The nil tenant is refused; a removed one is like one that never was."""
        repo = relational.tenants
        await assert_nil_refused(
            repo.get,
            repo.remove,
            lambda nil: repo.set_status(nil, status=TenantStatus.ACTIVE, at=NOON),
        )
        removed, unknown = await repo.add(a_tenant()), a_tenant()
        await repo.remove(removed.id)
        assert_same_refusal(
            await refusal_of(repo.get(removed.id)),
            await refusal_of(repo.get(unknown.id)),
            keys=(removed.id, unknown.id),
        )


async def _furnish(relational: RelationalStores, tenant_id: TenantId) -> tuple[Any, ...]:
    """Give a tenant one row of each kind."""
    channel = await relational.channels.add(tenant_id, a_channel(tenant_id))
    monitor = await relational.monitors.add(
        tenant_id, a_monitor(tenant_id, channel_ids=(channel.id,))
    )
    opening = await relational.alerts.open(tenant_id, an_alert(tenant_id, monitor.id))
    return channel, monitor, opening.alert


def _reads(
    relational: RelationalStores, tenant_id: TenantId, rows: Sequence[Any]
) -> tuple[Awaitable[Any], ...]:
    """Read each row that `_furnish` made."""
    channel, monitor, alert = rows
    return (
        relational.channels.get(tenant_id, channel.id),
        relational.monitors.get(tenant_id, monitor.id),
        relational.alerts.get(tenant_id, alert.id),
    )
