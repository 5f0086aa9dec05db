"""The contract of `HealthCheck`."""

from __future__ import annotations

import asyncio

import pytest

from urlmon.domain.health import HealthStatus
from urlmon.ports import HealthCheck


class HealthCheckContract:
    """What every `HealthCheck` must hold.

    Give it two fixtures: `healthy` looks at a store that is well, `sick` at one that is not there.
    """

    async def test_a_healthy_store_passes(self, healthy: HealthCheck) -> None:
        """There is nothing to say of it but what it is."""
        found = await healthy.check()
        assert (found.status, found.problems) == (HealthStatus.PASS, ())
        assert found.latency_us >= 0
        assert all(key and value for key, value in found.details)

    async def test_a_sick_store_is_a_result(self, sick: HealthCheck) -> None:
        """A store that does not serve raises nothing, and says what is wrong, every time."""
        for _ in range(2):
            found = await sick.check()
            assert found.status is HealthStatus.FAIL
            assert found.problems
            assert all(problem.strip() for problem in found.problems)
            assert found.latency_us >= 0

    async def test_the_name_stays(self, healthy: HealthCheck, sick: HealthCheck) -> None:
        """A component has one name, whether it is well or not."""
        assert healthy.name == (await healthy.check()).name
        assert sick.name == (await sick.check()).name == healthy.name

    async def test_checks_may_overlap(self, healthy: HealthCheck) -> None:
        """Several callers get an answer each."""
        found = await asyncio.gather(*(healthy.check() for _ in range(5)))
        assert {each.status for each in found} == {HealthStatus.PASS}

    async def test_cancelling_passes_through(self, healthy: HealthCheck) -> None:
        """A check that is cancelled ends, and the next one is answered again."""
        task = asyncio.create_task(healthy.check())
        await asyncio.sleep(0)
        assert task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await healthy.check()).status is HealthStatus.PASS
