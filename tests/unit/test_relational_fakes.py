"""What the fakes of the relational ports have beyond the contracts: failures on demand."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from tests.fixtures.relational import in_memory

from urlmon.domain.tenants import TenantStatus
from urlmon.errors import UnavailableError
from urlmon.testing.builders import a_monitor, a_tenant
from urlmon.testing.clock import NOON
from urlmon.testing.state import InMemoryState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from urlmon.testing.contracts.stores import RelationalStores

TENANT = a_tenant()
MONITOR = a_monitor(TENANT.id)
NEW_TENANT = a_tenant()
NEW_MONITOR = a_monitor(TENANT.id)
WRITES: dict[str, Callable[[RelationalStores], Awaitable[Any]]] = {
    "TenantRepo.add": lambda stores: stores.tenants.add(NEW_TENANT),
    "TenantRepo.update": lambda stores: stores.tenants.update(evolve(TENANT, name="New")),
    "TenantRepo.set_status": lambda stores: stores.tenants.set_status(
        TENANT.id, status=TenantStatus.SUSPENDED, at=NOON
    ),
    "TenantRepo.remove": lambda stores: stores.tenants.remove(TENANT.id),
    "MonitorRepo.add": lambda stores: stores.monitors.add(TENANT.id, NEW_MONITOR),
    "MonitorRepo.update": lambda stores: stores.monitors.update(
        TENANT.id, evolve(MONITOR, body="new")
    ),
    "MonitorRepo.set_enabled": lambda stores: stores.monitors.set_enabled(
        TENANT.id, MONITOR.id, enabled=False, at=NOON
    ),
    "MonitorRepo.remove": lambda stores: stores.monitors.remove(TENANT.id, MONITOR.id),
}
READS: dict[str, Callable[[RelationalStores], Awaitable[Any]]] = {
    "TenantRepo.get": lambda stores: stores.tenants.get(TENANT.id),
    "TenantRepo.find_by_slug": lambda stores: stores.tenants.find_by_slug(TENANT.slug),
    "TenantRepo.list": lambda stores: stores.tenants.list(),
    "MonitorRepo.get": lambda stores: stores.monitors.get(TENANT.id, MONITOR.id),
    "MonitorRepo.get_many": lambda stores: stores.monitors.get_many(TENANT.id, [MONITOR.id]),
    "MonitorRepo.list": lambda stores: stores.monitors.list(TENANT.id),
    "MonitorDirectory.get": lambda stores: stores.directory.get(TENANT.id, MONITOR.id),
    "MonitorDirectory.list_active": lambda stores: stores.directory.list_active(),
    "MonitorDirectory.changes": lambda stores: stores.directory.changes(),
}


def test_every_method_is_here() -> None:
    """A method that is added to one of the ports is added here."""
    stores = in_memory()
    assert {*WRITES, *READS} == {
        f"{port.__name__}.{method}"
        for fake in (stores.tenants, stores.monitors, stores.directory)
        for port in type(fake).__mro__[1:2]
        for method in vars(port)
        if not method.startswith("_")
    }


@pytest.mark.parametrize("lost_reply", [False, True])
@pytest.mark.parametrize("name", [*WRITES, *READS])
async def test_faults(name: str, lost_reply: bool) -> None:  # noqa: FBT001
    """Each call fails on demand, before it did anything or after, and can be made again."""
    state = InMemoryState()
    stores = in_memory(state)
    await stores.tenants.add(TENANT)
    await stores.monitors.add(TENANT.id, MONITOR)
    call = (WRITES | READS)[name]
    before = _rows(state)
    with state.faults.fail(name, lost_reply=lost_reply), pytest.raises(UnavailableError) as caught:
        await call(stores)
    error = caught.value
    assert (error.store, error.operation, error.maybe_applied) == ("memory", name, lost_reply)
    assert (_rows(state) != before) is (lost_reply and name in WRITES)
    answer = await call(stores)
    after = _rows(state)
    assert await call(stores) == answer
    assert _rows(state) == after


def _rows(state: InMemoryState) -> dict[str, object]:
    return {name: copy(rows) for name, rows in vars(state).items() if isinstance(rows, dict)}
