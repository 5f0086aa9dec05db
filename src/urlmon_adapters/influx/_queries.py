"""The texts of the queries: constants, with a `$name` for every value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon.domain.pages import check_many
from urlmon_adapters.influx._client import Params

# The server plans a longer list in a time that grows with its square.
_BATCH: Final = 100
FIELDS: Final = (
    '"checked_at_us", "status_code", "response_time_us", "dns_us", "connect_us", "tls_us",'
    ' "ttfb_us", "transfer_us", "tls_expires_at_us", "size_bytes", "error_kind", "error_message"'
)
TAGS: Final = '"tenant_id", "monitor_id", "location", "success"'


def select(
    columns: str, *, monitors: int = 0, conditions: Sequence[str] = (), then: str = ""
) -> str:
    """Return the text of a query of one tenant's results in a range of time.

    Args:
        columns: What is read.
        monitors: Of how many monitors; 0 for all.
        conditions: What else must be true, each a constant.
        then: What follows the conditions, a constant.
    """
    owners = " OR ".join(f'"monitor_id" = $monitor{number}' for number in range(monitors))
    every = (
        '"tenant_id" = $tenant AND time >= $since AND time < $until',
        *([f"({owners})"] if owners else []),
        *conditions,
    )
    return f'SELECT {columns} FROM "check_results" WHERE {" AND ".join(every)} {then}'  # noqa: S608  # constants only


def params(
    tenant_id: TenantId,
    monitor_ids: Sequence[MonitorId],
    since_us: int,
    until_us: int,
    **others: str,
) -> Params:
    """Return the values of a query that `select` made."""
    return {
        "tenant": str(tenant_id),
        "since": since_us * 1_000,
        "until": until_us * 1_000,
        **{f"monitor{number}": str(each) for number, each in enumerate(monitor_ids)},
        **others,
    }


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
