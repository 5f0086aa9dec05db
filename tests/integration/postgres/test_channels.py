"""What PostgreSQL alone can show of channels: what is on disk, keys, constraints, odd rows."""

from __future__ import annotations

import base64
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from tests.fixtures.relational import a_key, in_postgres

from urlmon.domain.channels import ChannelKind, NotificationChannel
from urlmon.domain.secrets import Secret
from urlmon.errors import (
    ConfigurationError,
    CorruptDataError,
    StoreError,
    UnavailableError,
    UrlmonError,
)
from urlmon.testing.builders import a_channel, a_monitor, a_tenant
from urlmon.testing.clock import NOON
from urlmon_adapters.postgres._database import Database, build_pool
from urlmon_adapters.postgres._encryption import Keyring
from urlmon_adapters.postgres.channels import PostgresChannelRepo

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from urlmon.domain.tenants import Tenant
    from urlmon.testing.contracts.stores import RelationalStores
    from urlmon_adapters.postgres._database import Pool

CANARY = "canary-51b6c7d2"
SECRETS = {"token": Secret(CANARY)}
GUARDED = """
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER nothing BEFORE INSERT ON notification_channels
FOR EACH ROW EXECUTE FUNCTION nothing()
"""


@pytest.fixture
async def tenant(postgres_relational: RelationalStores) -> Tenant:
    """A stored tenant."""
    return await postgres_relational.tenants.add(a_tenant())


def repo_with(pool: Pool, *keys: Secret) -> PostgresChannelRepo:
    """Return the adapter with these keys."""
    return PostgresChannelRepo(Database(pool), Keyring(keys))


async def execute(pool: Pool, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement beside the adapter and return its rows."""
    async with pool.connection() as connection:
        cursor = await connection.execute(statement.encode())
        return await cursor.fetchall() if cursor.description else []


async def refusal(call: Awaitable[object]) -> UrlmonError:
    """Return the error that a call raises, which spells no secret out."""
    with pytest.raises(UrlmonError) as caught:
        await call
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    return caught.value


async def test_what_is_on_disk(postgres_pool: Pool, tenant: Tenant) -> None:
    """No row holds a secret, nor its name, in any usual spelling."""
    repo, channel = repo_with(postgres_pool, a_key()), a_channel(tenant.id)
    name = "name-of-a-canary"
    await repo.add(tenant.id, channel, secrets={name: Secret(CANARY)})
    await repo.update(tenant.id, channel, secrets={name: Secret(CANARY)})
    ((row,),) = await execute(postgres_pool, "SELECT c::text FROM notification_channels c")
    assert channel.name in row
    for text in (CANARY, name):
        for form in (
            text,
            text.encode().hex(),
            *(base64.b64encode(text[skip:].encode()).decode()[:-4] for skip in range(3)),
        ):
            assert form not in row


async def test_ciphertext_that_was_moved(postgres_pool: Pool, tenant: Tenant) -> None:
    """Secrets that somebody copied to another tenant's or channel's row are refused there."""
    repo = repo_with(postgres_pool, a_key())
    theirs = a_channel((await in_postgres(postgres_pool).tenants.add(a_tenant())).id)
    await repo.add(theirs.tenant_id, theirs, secrets=SECRETS)
    copies = a_channel(tenant.id), a_channel(tenant.id, id=theirs.id)
    for copy in copies:
        await repo.add(tenant.id, copy)
    await execute(
        postgres_pool,
        "UPDATE notification_channels SET secrets ="
        " (SELECT secrets FROM notification_channels WHERE secrets IS NOT NULL)",
    )
    for copy in copies:
        error = await refusal(repo.reveal(tenant.id, copy.id))
        assert isinstance(error, CorruptDataError)
        assert "belong to another channel" in error.detail
    assert await repo.reveal(theirs.tenant_id, theirs.id) == SECRETS


async def test_with_a_lost_key(postgres_pool: Pool, tenant: Tenant) -> None:
    """Only what needs the secrets fails, says which key is missing, and can be mended."""
    channel, repo = a_channel(tenant.id), repo_with(postgres_pool, a_key())
    await repo_with(postgres_pool, a_key()).add(tenant.id, channel, secrets=SECRETS)
    for call in (
        repo.reveal(tenant.id, channel.id),
        repo.add(tenant.id, channel, secrets=SECRETS),
    ):
        error = await refusal(call)
        assert isinstance(error, CorruptDataError)
        assert "not in URLMON_SECRET_KEY: add it" in error.detail
    assert await repo.get(tenant.id, channel.id) == channel
    assert (await repo.list(tenant.id)).items == (channel,)
    await repo.record_delivery(tenant.id, channel.id, at=NOON)
    for _ in range(2):
        await repo.update(tenant.id, channel)
    await repo.update(tenant.id, evolve(channel, version=2), secrets=SECRETS)
    assert await repo.reveal(tenant.id, channel.id) == SECRETS


async def test_without_a_key(postgres_pool: Pool, tenant: Tenant) -> None:
    """Channels without secrets need no key; secrets are never stored in clear."""
    repo = repo_with(postgres_pool)
    channel = await repo.add(tenant.id, a_channel(tenant.id))
    assert await repo.reveal(tenant.id, channel.id) == {}
    for call in (
        repo.add(tenant.id, a_channel(tenant.id), secrets=SECRETS),
        repo.update(tenant.id, channel, secrets=SECRETS),
    ):
        error = await refusal(call)
        assert isinstance(error, ConfigurationError)
        assert "URLMON_SECRET_KEY" in str(error)
    assert (await repo.list(tenant.id)).items == (channel,)
    changed = await repo.update(tenant.id, channel, secrets={})
    assert await repo.update(tenant.id, changed) == evolve(channel, version=3)


async def test_rotation(postgres_pool: Pool, tenant: Tenant) -> None:
    """What was written again under the new key outlives the old one."""
    old, new = a_key(), a_key()
    channel = a_channel(tenant.id)
    await repo_with(postgres_pool, old).add(tenant.id, channel, secrets=SECRETS)
    both = repo_with(postgres_pool, new, old)
    await both.update(tenant.id, channel, secrets=await both.reveal(tenant.id, channel.id))
    assert await repo_with(postgres_pool, new).reveal(tenant.id, channel.id) == SECRETS


async def test_secrets_are_not_logged(
    postgres_pool: Pool, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither we nor the driver log a secret, at any level, also when calls fail."""
    repo, channel = repo_with(postgres_pool, a_key()), a_channel(tenant.id)
    with caplog.at_level(logging.DEBUG):
        await repo.add(tenant.id, channel, secrets=SECRETS)
        await repo.reveal(tenant.id, channel.id)
        await refusal(repo.add(tenant.id, a_channel(tenant.id, name=channel.name), secrets=SECRETS))
        await execute(postgres_pool, "ALTER TABLE notification_channels ADD CHECK (version < 2)")
        await refusal(repo.update(tenant.id, channel, secrets=SECRETS))
        await execute(postgres_pool, "ALTER TABLE notification_channels RENAME TO elsewhere")
        await refusal(repo.add(tenant.id, a_channel(tenant.id), secrets=SECRETS))
    assert CANARY not in caplog.text
    for record in caplog.records:
        assert CANARY not in repr(record.__dict__)


async def test_constraints_are_told_apart(postgres_pool: Pool, tenant: Tenant) -> None:
    """A constraint that we did not make is no missing tenant and no name that is taken."""
    repo = repo_with(postgres_pool)
    channel = await repo.add(tenant.id, a_channel(tenant.id))
    await execute(
        postgres_pool,
        "ALTER TABLE notification_channels"
        " ADD CONSTRAINT odd_name CHECK (name <> 'odd'), ADD CONSTRAINT one_kind UNIQUE (kind)",
    )
    for call in (
        repo.add(tenant.id, a_channel(tenant.id, name="odd", kind=ChannelKind.SMS)),
        repo.update(tenant.id, evolve(channel, name="odd")),
    ):
        error = await refusal(call)
        assert type(error) is StoreError
        assert error.__cause__ is not None
    second = await repo.add(tenant.id, a_channel(tenant.id, kind=ChannelKind.SMS))
    error = await refusal(repo.update(tenant.id, evolve(second, kind=channel.kind)))
    assert type(error) is StoreError


async def test_what_was_in_the_way_is_gone(postgres_pool: Pool, tenant: Tenant) -> None:
    """Nothing inserted and nothing in the way is a reason to call again."""
    await execute(postgres_pool, GUARDED)
    error = await refusal(repo_with(postgres_pool).add(tenant.id, a_channel(tenant.id)))
    assert isinstance(error, UnavailableError)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", "''"),
        ("kind", "'pigeon'"),
        ("config", "'[1]'"),
        ("config", """'[["a"]]'"""),
        ("config", """'[["a", 1]]'"""),
        ("config", """'[["a", "1"], ["a", "2"]]'"""),
        ("config", """'["ab"]'"""),
        ("config", """'{"ab": 1}'"""),
        ("last_error", "''"),
        ("consecutive_failures", "-1"),
        ("version", "0"),
        ("created_at", "'1999-12-31'"),
        ("last_delivery_at", "'infinity'"),
    ],
)
async def test_rows_that_are_no_channels(
    postgres_pool: Pool, tenant: Tenant, column: str, value: str
) -> None:
    """Each way of reading a channel refuses what is none, and names it."""
    stores = in_postgres(postgres_pool)
    channel = await stores.channels.add(tenant.id, a_channel(tenant.id))
    monitor = a_monitor(tenant.id, channel_ids=(channel.id,))
    await stores.monitors.add(tenant.id, monitor)
    for check in ("name", "kind", "config", "failures", "error", "version"):
        constraint = f"notification_channels_{check}_check"
        await execute(
            postgres_pool, f"ALTER TABLE notification_channels DROP CONSTRAINT {constraint}"
        )
    await execute(postgres_pool, f"UPDATE notification_channels SET {column} = {value}")
    for call in (
        stores.channels.get(tenant.id, channel.id),
        stores.channels.reveal(tenant.id, channel.id),
        stores.channels.list(tenant.id),
        stores.channels.for_monitor(tenant.id, monitor.id),
        stores.channels.add(tenant.id, channel),
        stores.channels.update(tenant.id, channel),
        stores.channels.record_delivery(tenant.id, channel.id, at=NOON),
    ):
        error = await refusal(call)
        assert isinstance(error, CorruptDataError)
        if value != "'infinity'":  # the driver refuses that, before it is known which row it is
            assert str(channel.id) in error.detail
    await stores.channels.remove(tenant.id, channel.id)


async def test_the_zone_of_the_server(postgres_url: str, postgres_pool: Pool) -> None:
    """Instants are in UTC whatever zone the server speaks."""
    await execute(
        postgres_pool,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone ="
        " ''Asia/Kathmandu''', current_database()); END $$",
    )
    pool = build_pool(postgres_url)
    async with pool:
        assert await execute(pool, "SHOW timezone") == [("UTC",)]  # the pool decides
        stores = in_postgres(pool)
        tenant = await stores.tenants.add(a_tenant())
        channel = await stores.channels.add(tenant.id, a_channel(tenant.id))
        health = await stores.channels.record_delivery(tenant.id, channel.id, at=NOON)
        stored: NotificationChannel = await stores.channels.get(tenant.id, channel.id)
        assert stored == evolve(channel, health=health)
        for instant in (stored.created_at, stored.updated_at, stored.health.last_delivery_at):
            assert instant is not None
            assert instant.tzinfo is NOON.tzinfo
