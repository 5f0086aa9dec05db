"""The bucket: made, and its retention kept in step with the settings."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from urlmon.errors import StoreError
from urlmon_adapters.influx._client import Influx, Rows, corrupt
from urlmon_adapters.influx._errors import STORE, refused

# The server judges age by its own clock, and drops what is too old out of a batch.  By then the
# store has decided by the same rule; so that it never comes to that, the server keeps a day more.
MARGIN: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_log = logging.getLogger("urlmon.influxdb")

_OPERATION: Final = "ensure_bucket"
_BUCKETS: Final = "/api/v2/buckets"
_READ_MARK: Final = (
    'SELECT last("bucket") AS "bucket" FROM "urlmon" WHERE time > now() - 1h AND time < now() + 1h'
)


@frozen(kw_only=True)
class Bucket:
    """A bucket as the server has it.

    Attributes:
        id: The server's name for it.
        retention: How long it keeps points; None if for ever.
        shard: How much time its shards span.
    """

    id: str
    retention: timedelta | None
    shard: timedelta


async def find_bucket(influx: Influx, operation: str) -> Bucket | None:
    """Return the bucket; None if it does not exist or the token may not read it."""
    found = await influx.found(operation)
    with corrupt(operation):
        return None if found is None else _bucket(found)


async def ensure_bucket(influx: Influx, *, retention: timedelta) -> None:
    """Make the bucket unless it exists, and give it the retention, and a day more.

    Repeatable, also by several processes at the same time.  A token that may only read and write
    the bucket is enough, once it exists.

    Args:
        influx: An open client.
        retention: How long results are kept, at least an hour.

    Raises:
        StoreError: The token lacks a right, or what is written is not what would be read.
        UnavailableError: The server did not answer.
    """
    wanted = retention + MARGIN
    bucket = await find_bucket(influx, _OPERATION) or await _made(influx, wanted)
    if bucket.retention != wanted:
        if bucket.retention is None or wanted < bucket.retention:
            _log.warning(
                "the bucket %s keeps points for %s from now on, as URLMON_RETENTION_DAYS says:"
                " InfluxDB deletes what is older",
                influx.bucket,
                wanted,
            )
        # A shard must not span more than is kept.
        rules = _rules(wanted, bucket.shard)
        await influx.change(_OPERATION, "PATCH", f"{_BUCKETS}/{bucket.id}", rules)
    await _prove(influx, bucket)


async def read_mark(influx: Influx, operation: str) -> str | None:
    """Return which bucket queries read, if `ensure_bucket` marked that in the last hour."""
    rows: list[Rows] = []
    await influx.query(operation, _READ_MARK, {}, take=rows.append)
    return next((cells[1] for part in rows for cells in part.values), None)


async def _made(influx: Influx, retention: timedelta) -> Bucket:
    answer = await influx.get(_OPERATION, "/api/v2/orgs", {"org": influx.org})
    with corrupt(_OPERATION):
        orgs = [] if answer is None else [each["id"] for each in answer["orgs"]]
    if not orgs:  # or the token may not see it
        raise refused(404, _OPERATION, writing=False)
    failure: StoreError | None = None
    try:
        body = {"orgID": orgs[0], "name": influx.bucket, **_rules(retention)}
        await influx.change(_OPERATION, "POST", _BUCKETS, body)
    except StoreError as exc:
        failure = exc  # perhaps because another process made it meanwhile
    bucket = await find_bucket(influx, _OPERATION)
    if bucket is None:
        raise failure or refused(404, _OPERATION, writing=False)
    return bucket


async def _prove(influx: Influx, bucket: Bucket) -> None:
    """Make sure that queries read what is written.

    They are told neither the organization nor the bucket: the one is the token's own, the other is
    found by a mapping, which can have been made by hand.
    """
    await influx.write(_OPERATION, [f'urlmon bucket="{bucket.id}"'.encode()])
    if await read_mark(influx, _OPERATION) != bucket.id:
        raise StoreError(
            STORE,
            _OPERATION,
            "queries do not read the bucket that is written: INFLUXDB_ORG has to be the token's own"
            " organization, and no DBRP mapping may lead elsewhere (`influx v1 dbrp list`)",
        )


def _rules(retention: timedelta, shard: timedelta | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"type": "expire", "everySeconds": retention // _SECOND}
    if shard is not None:
        rule["shardGroupDurationSeconds"] = min(shard, retention) // _SECOND
    return {"retentionRules": [rule]}


def _bucket(found: Any) -> Bucket:
    rule: dict[str, Any] = next(iter(found["retentionRules"]), {})
    return Bucket(
        id=found["id"],
        retention=timedelta(seconds=rule.get("everySeconds", 0)) or None,
        shard=timedelta(seconds=rule.get("shardGroupDurationSeconds", 0)),
    )
