"""Stores a batch of check results: by COPY at first, and with a look at what is there if need be.

Each attempt is one transaction.  The first takes all results for new; where one is not, the server
refuses the batch, and the next attempt asks first which are there, stores the others, and replaces
each success that a failure outranks.  Where others store the same meanwhile, the last one lets the
server decide row by row, which is slower and always ends.  All go in the order of their keys, in
each of these steps, so that batches that overlap wait for each other and never in a circle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date
from typing import Final

import psycopg
from psycopg import errors as sql
from psycopg.copy import AsyncLibpqWriter

from urlmon.domain.check_results import CheckResult, Key, key_of
from urlmon.domain.fates import ALREADY_THERE, NEW, Fate, rejected
from urlmon.errors import StoreError
from urlmon.services.gently import SLICE
from urlmon_adapters.postgres._check_result_rows import chunks, values_of
from urlmon_adapters.postgres._connection import GRACE_SECONDS
from urlmon_adapters.postgres._database import AS_INGEST, AS_SERVICE, Connection, Database
from urlmon_adapters.postgres._errors import lacks_partition, violated
from urlmon_adapters.postgres._rollups import count

_CHUNK: Final = 100

_COLUMNS: Final = """
    tenant_id, monitor_id, location, scheduled_at, checked_at, success, error_kind, error_message,
    status_code, response_time_us, dns_us, connect_us, tls_us, ttfb_us, transfer_us,
    tls_expires_at, size_bytes
"""
_TYPES: Final = (
    *("uuid", "uuid", "text", "timestamptz", "timestamptz", "bool", "text", "text", "int2"),
    *("int8", "int8", "int8", "int8", "int8", "int8", "timestamptz", "int8"),
)
_COPY: Final = "COPY check_results (" + _COLUMNS + ") FROM STDIN (FORMAT BINARY)"
# Arrays go in binary: as text they take four times as long to write here.
_INSERT: Final = (
    "INSERT INTO check_results AS kept ("  # noqa: S608 - all parts are constants
    + _COLUMNS
    + """) SELECT * FROM unnest(
    %b::uuid[], %b::uuid[], %b::text[], %b::timestamptz[], %b::timestamptz[], %b::boolean[],
    %b::text[], %b::text[], %b::smallint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[],
    %b::bigint[], %b::bigint[], %b::timestamptz[], %b::bigint[]
)
"""
)
_INSERT_NEW: Final = (
    _INSERT
    + """
ON CONFLICT (scheduled_at, tenant_id, monitor_id, location) DO NOTHING
RETURNING scheduled_at AT TIME ZONE 'UTC', tenant_id, monitor_id, location
"""
)
_REPLACE: Final = (
    _INSERT
    + """
ON CONFLICT (scheduled_at, tenant_id, monitor_id, location) DO UPDATE SET
    checked_at = excluded.checked_at, success = excluded.success,
    error_kind = excluded.error_kind, error_message = excluded.error_message,
    status_code = excluded.status_code, response_time_us = excluded.response_time_us,
    dns_us = excluded.dns_us, connect_us = excluded.connect_us, tls_us = excluded.tls_us,
    ttfb_us = excluded.ttfb_us, transfer_us = excluded.transfer_us,
    tls_expires_at = excluded.tls_expires_at, size_bytes = excluded.size_bytes
WHERE kept.success AND NOT excluded.success
"""
)
_LOOK: Final = """
SELECT given.place, kept.success
FROM unnest(%b::timestamptz[], %b::uuid[], %b::uuid[], %b::text[]) WITH ORDINALITY
    AS given (scheduled_at, tenant_id, monitor_id, location, place)
JOIN check_results AS kept USING (scheduled_at, tenant_id, monitor_id, location)
WHERE kept.scheduled_at BETWEEN %b AND %b
"""
_MAKE: Final = "SELECT create_monthly_partition(%s)"


_Step = Callable[[Connection, Sequence[CheckResult]], Awaitable[dict[int, bool]]]


class Ingest:
    """Stores batches in the table `check_results`."""

    __slots__ = ("_database", "_operation")

    def __init__(self, database: Database, operation: str) -> None:
        self._database = database
        self._operation = operation

    async def store(self, results: Sequence[CheckResult]) -> list[Fate]:
        """Store results of different identities, in the order of `key_of`; return their fates.

        A result that the server would never take is found by halving, and rejected alone.

        Raises:
            StoreError: A driver's error, translated.
        """
        try:
            return await self._store(results)
        except StoreError as exc:
            if not _is_poison(exc.__cause__):
                raise
            if len(results) == 1:
                return [rejected(_reason(exc.__cause__))]
        middle = len(results) // 2
        return await self.store(results[:middle]) + await self.store(results[middle:])

    async def _store(self, results: Sequence[CheckResult]) -> list[Fate]:
        made = False
        steps = iter((append, _append_missing, _insert_new))
        step = next(steps)
        while True:
            try:
                return await self._attempt(results, step)
            except StoreError as exc:
                if isinstance(exc.__cause__, sql.UniqueViolation) and step is not _insert_new:
                    step = next(steps)  # some are there by now, or were stored meanwhile
                elif lacks_partition(exc.__cause__) and not made:
                    await self._make_partitions(results)
                    made = True
                else:
                    raise

    async def _attempt(self, results: Sequence[CheckResult], step: _Step) -> list[Fate]:
        async with self._database.everyone(self._operation) as connection:
            there = await step(connection, results)
            new = [each for place, each in enumerate(results) if place not in there]
            failures = [results[place] for place in sorted(there) if there[place]]
            failures = [each for each in failures if not each.success]
            for some in chunks(failures, _CHUNK):
                await connection.execute(_REPLACE, await _arrays(some))
            if new or failures:
                await count(connection, new, failures)
        return [ALREADY_THERE if place in there else NEW for place in range(len(results))]

    async def _make_partitions(self, results: Sequence[CheckResult]) -> None:
        """Make the partitions that results belong to, where there is no default one."""
        months = {each.scheduled_at.date().replace(day=1) for each in results}
        for month in sorted(months):
            await self._make_partition(month)

    async def _make_partition(self, month: date) -> None:
        async with self._database.everyone(self._operation) as connection:
            await connection.execute(_MAKE, [month])


async def append(connection: Connection, results: Sequence[CheckResult]) -> dict[int, bool]:
    """Store results, none of which is there: by COPY, where the login may take the role that may.

    Like the other steps it returns the places of those that were there, each with whether it may
    stand as a success.

    Raises:
        psycopg.errors.UniqueViolation: One is there.
    """
    (role,) = await (await connection.execute(AS_INGEST)).fetchone() or ("",)
    if role != "urlmon_ingest":
        for some in chunks(results, _CHUNK):
            await connection.execute(_INSERT, await _arrays(some))
        return {}
    cursor = connection.cursor()
    async with cursor.copy(_COPY, writer=_Writer(cursor)) as copy:
        copy.set_types(_TYPES)
        for number, result in enumerate(results):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            await copy.write_row(values_of(result))
    await connection.execute(AS_SERVICE)
    return {}


async def _append_missing(
    connection: Connection, results: Sequence[CheckResult]
) -> dict[int, bool]:
    """Look which results are there, and store the others."""
    there: dict[int, bool] = {}
    for first in range(0, len(results), _CHUNK):
        await asyncio.sleep(0)
        some = results[first : first + _CHUNK]
        columns = (
            [each.scheduled_at for each in some],
            [each.tenant_id for each in some],
            [each.monitor_id for each in some],
            [each.location for each in some],
        )
        bounds = some[0].scheduled_at, some[-1].scheduled_at
        rows = await connection.execute(_LOOK, (*columns, *bounds))
        there |= {first + place - 1: success async for place, success in rows}
    if len(there) < len(results):
        await append(connection, [each for n, each in enumerate(results) if n not in there])
    return there


async def _insert_new(connection: Connection, results: Sequence[CheckResult]) -> dict[int, bool]:
    """Store what is not there when its turn comes; wait for whoever is about to store the same."""
    new: set[Key] = set()
    for some in chunks(results, _CHUNK):
        rows = await connection.execute(_INSERT_NEW, await _arrays(some))
        async for at, tenant_id, monitor_id, location in rows:
            new.add((at.replace(tzinfo=UTC), tenant_id.int, monitor_id.int, location))
    return {place: True for place, each in enumerate(results) if key_of(each) not in new}


class _Writer(AsyncLibpqWriter):
    """Sends the data of a COPY."""

    async def finish(self, exc: BaseException | None = None) -> None:
        """End the COPY; one that was broken off waits only shortly for the server's last word."""
        async with asyncio.timeout(None if exc is None else GRACE_SECONDS):
            await super().finish(exc)


async def _arrays(results: Sequence[CheckResult]) -> list[list[object]]:
    """Return the columns of results, each an array, in the order of `_COLUMNS`."""
    await asyncio.sleep(0)
    return [list(column) for column in zip(*map(values_of, results), strict=True)]


def _is_poison(error: BaseException | None) -> bool:
    """Say whether an error is about what a row holds, so that it would be raised again."""
    if isinstance(error, sql.UniqueViolation) or lacks_partition(error):
        return False
    return isinstance(error, sql.DataError | sql.IntegrityError)


def _reason(error: BaseException | None) -> str:
    """Return why the server refused a row, without a word of what is in it."""
    assert isinstance(error, psycopg.Error)  # noqa: S101 - as `_is_poison` said
    names = [f"SQLSTATE {error.sqlstate}", violated(error) or error.diag.column_name or ""]
    return f"the server refused it ({', '.join(filter(None, names))})"
