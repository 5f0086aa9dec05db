"""The fake of `HealthCheck`."""

from __future__ import annotations

from urlmon.domain.health import ComponentHealth, HealthStatus
from urlmon.errors import UnavailableError
from urlmon.ports import HealthCheck
from urlmon.testing.state import InMemoryState


class InMemoryHealthCheck(HealthCheck):
    """Passes, and fails while the faults of its state let `HealthCheck.check` fail."""

    __slots__ = ("_name", "_state")

    def __init__(self, state: InMemoryState, name: str = "memory") -> None:
        """Keep the parts.

        Args:
            state: Whose faults decide.
            name: The component that it stands for.
        """
        self._state = state
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def check(self) -> ComponentHealth:
        try:
            async with self._state.faults.call("HealthCheck.check"):
                return ComponentHealth(name=self._name, status=HealthStatus.PASS, latency_us=0)
        except UnavailableError as exc:
            return ComponentHealth(
                name=self._name, status=HealthStatus.FAIL, latency_us=0, problems=(exc.detail,)
            )
