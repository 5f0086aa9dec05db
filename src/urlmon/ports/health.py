"""The port for health checks."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from urlmon.domain.health import ComponentHealth


class HealthCheck(Protocol):
    """Looks at one store."""

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """The component's name, such as `"postgresql"`."""

    @abstractmethod
    async def check(self) -> ComponentHealth:
        """Look at the store.

        Never raises for a sick store, not even for a fault of the check itself: that is a result.
        Cancelling it, as a time limit does, passes through.
        """
