"""Reads of many monitors what their buckets keep by monitor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from urlmon.domain.ids import MonitorId, TenantId, require_tenant
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._commands import Reply
from urlmon_adapters.redis._keys import bucket_of
from urlmon_adapters.redis._replies import decoding, items
from urlmon_adapters.redis._states import name_of


async def read_by_monitor(
    client: RedisClient,
    operation: str,
    hash_of: Callable[[int], str],
    *,
    tenant_id: TenantId,
    monitor_ids: Sequence[MonitorId],
) -> dict[MonitorId, Reply]:
    """Return a field of each monitor, in the order given; None where there is none.

    Args:
        client: Reads.
        operation: The port's method.
        hash_of: Returns the hash of a bucket.
        tenant_id: The owner.
        monitor_ids: Which.

    Raises:
        StoreError: The driver's error, translated.
    """
    require_tenant(tenant_id)
    if not monitor_ids:
        return {}
    buckets = defaultdict[int, list[MonitorId]](list)
    for each in dict.fromkeys(monitor_ids):
        buckets[bucket_of(each)].append(each)
    rows = await client.read(
        operation,
        *(
            ("HMGET", hash_of(bucket), *(name_of(tenant_id, each) for each in members))
            for bucket, members in buckets.items()
        ),
    )
    with decoding(operation):
        found = {
            each: row
            for members, reply in zip(buckets.values(), rows, strict=True)
            for each, row in zip(members, items(reply), strict=True)
        }
    return {each: found[each] for each in monitor_ids}
