"""The example checker, over the fakes: what becomes of it where a part of it cannot go on."""

from __future__ import annotations

import asyncio
import importlib
from collections import Counter
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from urlmon.errors import StoreError
from urlmon.testing.builders import a_monitor, a_tenant
from urlmon_adapters.testing import InMemoryContainer

EXAMPLES: Final = Path(__file__).parents[2] / "examples"


class BrokenRecorder:
    """Is refused by its store once a check is under way."""

    def __init__(self) -> None:
        self.checking = asyncio.Event()

    async def run(self) -> None:
        """Fail for good."""
        await self.checking.wait()
        raise StoreError("influxdb", "CheckResultStore.record", "the token was rejected")


async def test_a_part_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with the error, and gives back what it held."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    module: Any = importlib.import_module("checker")
    stores, tenant, recorder = InMemoryContainer(), a_tenant(), BrokenRecorder()
    monitor = a_monitor(tenant.id, locations=(module.LOCATION,))
    await stores.tenants().add(tenant)
    await stores.monitors().add(tenant.id, monitor)
    await stores.schedule().upsert(
        tenant.id,
        monitor.id,
        interval=monitor.interval,
        version=monitor.version,
        locations=monitor.locations,
        at_once=True,
    )

    async def probe(*_: object, **__: object) -> None:
        recorder.checking.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(module, "probe", probe)
    checker = module.Checker(stores, None, Counter())
    checker._recorder = recorder
    with pytest.raises(StoreError, match="token was rejected"):
        await asyncio.wait_for(checker.run(), 5)
    (claimed,) = await stores.schedule().claim(
        request_id=uuid4().hex, location=module.LOCATION, limit=10, lease=module.LEASE
    )
    assert claimed.monitor_id == monitor.id
