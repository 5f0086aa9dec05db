"""The texts of the queries: constants, with a `$name` for every value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from attrs import field, frozen

from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.pages import check_many
from urlmon_adapters.influx._client import Params
from urlmon_adapters.influx._lines import microseconds

# So that an answer is never long, and of one batch nobody waits for long.
_BATCH: Final = 100
RESULTS: Final = "check_results"
END_US: Final = microseconds(datetime(2200, 1, 1, tzinfo=UTC))
"""No point of ours is so late."""
FIELDS: Final = (
    '"checked_at_us", "status_code", "response_time_us", "dns_us", "connect_us", "tls_us",'
    ' "ttfb_us", "transfer_us", "tls_expires_at_us", "size_bytes", "error_kind", "error_message"'
)
TAGS: Final = '"tenant_id", "monitor_id", "location", "success"'


@frozen(kw_only=True)
class Select:
    """A query of points in a stretch of time.

    Attributes:
        columns: What is read, a constant.
        source: The measurement, a constant.
        since_us: The first microsecond since 1970.
        until_us: The first one after the last.
        tenant_id: Whose; None for everybody's.
        monitor_ids: Of which monitors; none for all.
        conditions: What else must be true, each a constant.
        values: What `conditions` name with a `$`.
        then: What follows the conditions, a constant.
    """

    columns: str
    source: str = RESULTS
    since_us: int
    until_us: int
    tenant_id: TenantId | None = None
    monitor_ids: Sequence[MonitorId] = ()
    conditions: Sequence[str] = ()
    values: Mapping[str, str] = field(factory=dict)
    then: str = ""

    def bound(self) -> tuple[str, Params]:
        """Return the text, and the values to bind to it."""
        values: dict[str, str | int] = {
            "since": self.since_us * 1_000,
            "until": self.until_us * 1_000,
            **self.values,
        }
        every = ["time >= $since AND time < $until", *self.conditions]
        if self.tenant_id is not None:
            every.append('"tenant_id" = $tenant')
            values["tenant"] = str(self.tenant_id)
        if self.monitor_ids:
            names = [f"monitor{number}" for number in range(len(self.monitor_ids))]
            values |= zip(names, map(str, self.monitor_ids), strict=True)
            every.append(_any_of([f'"monitor_id" = ${name}' for name in names]))
        where = " AND ".join(every)
        return f'SELECT {self.columns} FROM "{self.source}" WHERE {where} {self.then}', values  # noqa: S608  # constants only


def _any_of(conditions: Sequence[str]) -> str:
    """Join conditions by OR, in pairs of pairs.

    The server asks for each series all the way through the tree of a condition: planning 100
    monitors took it 29 ms where each stood within the next, and takes 16 ms with seven levels.
    """
    if len(conditions) == 1:
        return conditions[0]
    middle = len(conditions) // 2
    return f"({_any_of(conditions[:middle])} OR {_any_of(conditions[middle:])})"


def check_scope(tenant_id: TenantId, monitor_ids: Sequence[MonitorId]) -> tuple[MonitorId, ...]:
    """Return the monitors, each once.

    Raises:
        InvalidValueError: `tenant_id` is no `TenantId`, or there are more than 1,000 monitors.
    """
    require_tenant(tenant_id)
    check_many("monitor_ids", monitor_ids)
    return tuple(dict.fromkeys(map(MonitorId, monitor_ids)))


def batches(monitor_ids: Sequence[MonitorId]) -> Iterator[Sequence[MonitorId]]:
    """Cut a list into parts that one query takes."""
    for start in range(0, len(monitor_ids), _BATCH):
        yield monitor_ids[start : start + _BATCH]
