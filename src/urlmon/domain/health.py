"""What a health check found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from attrs import field, frozen


class HealthStatus(StrEnum):
    """How a component is; the words of the health+json draft (draft-inadarei-api-health-check)."""

    PASS = "pass"  # noqa: S105 - a status
    WARN = "warn"
    FAIL = "fail"


def worst(statuses: tuple[HealthStatus, ...]) -> HealthStatus:
    """Return the worst of some statuses; pass of none."""
    order = (HealthStatus.FAIL, HealthStatus.WARN)
    return next((status for status in order if status in statuses), HealthStatus.PASS)


@frozen(kw_only=True)
class ComponentHealth:
    """How one store is.

    Attributes:
        name: `"postgresql"`, `"influxdb"` or `"redis"`.
        status: Pass, warn (works, but look at it) or fail (does not serve).
        latency_us: How long its check took, in whole microseconds.
        version: The server's version; None where it did not answer.
        details: Facts for people, in order, such as `("migrations", "3 applied, 0 pending")`.
        problems: What is wrong and what to do, one sentence each; never a secret.
    """

    name: str
    status: HealthStatus
    latency_us: int
    version: str | None = None
    details: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()


@frozen(kw_only=True)
class HealthReport:
    """How all stores are.

    Attributes:
        checked_at: When the checks were begun.
        components: One a store, in the order of the checks.
    """

    checked_at: datetime
    components: tuple[ComponentHealth, ...] = field(default=())

    @property
    def status(self) -> HealthStatus:
        """The worst status of a component."""
        return worst(tuple(component.status for component in self.components))

    def short(self) -> Mapping[str, bool]:
        """Return for each component whether it serves: true for pass and warn."""
        return {
            component.name: component.status is not HealthStatus.FAIL
            for component in self.components
        }
