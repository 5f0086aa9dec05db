"""Measure the InfluxDB adapter beside what a user would write instead, on one real server.

Run it on an idle machine:
.venv/bin/python benchmarks/influx.py [--results 10000] [--monitors 1000] [--kept 10]
It prints tables for docs/reference/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import gzip
import io
import json
import logging
import socket
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from influxdb_client import InfluxDBClient, Point, WriteOptions, WritePrecision
from influxdb_client.client.flux_csv_parser import FluxCsvParser, FluxSerializationMode
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from urllib3 import HTTPResponse

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind, Phases
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.secrets import Secret
from urlmon.domain.sums import Sums
from urlmon.errors import UnavailableError
from urlmon.testing.builders import a_result
from urlmon.testing.clock import FakeClock
from urlmon_adapters.influx import (
    Influx,
    InfluxCheckResultStore,
    InfluxCheckStatistics,
    InfluxRollupKeeper,
    ensure_bucket,
)
from urlmon_adapters.influx._client import Rows
from urlmon_adapters.influx._lines import encode, instant, microseconds
from urlmon_adapters.influx._marks import rolled_line
from urlmon_adapters.influx._queries import FIELDS, Select
from urlmon_adapters.influx._rows import decode
from urlmon_adapters.influx._spans import DAY, HOUR, WEEK
from urlmon_adapters.influx._sums import TOTAL, Rolled, line
from urlmon_adapters.servers import InfluxServer

BATCH = 5_000
RETENTION = timedelta(days=90)
NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
PIVOT = '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> group()'
QUANTILE = '|> quantile(q: 0.95, method: "exact_selector")'
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
TENANT = TenantId.new()
RANDOM = Random(7)  # noqa: S311 - not a secret


def results(count: int, *, monitors: int, span: timedelta) -> list[CheckResult]:
    """Make results as a checker does, spread over a time that ends now."""
    ids = [MonitorId.new() for _ in range(monitors)]
    failure = CheckError(kind=ErrorKind.STATUS, message="503 Service Unavailable")
    return [
        a_result(
            TENANT,
            ids[number % monitors],
            scheduled_at=NOW - span * number // count,
            checked_at=NOW - span * number // count + timedelta(milliseconds=number % 500),
            location=("eu", "us", "ap")[number % 3],
            response_time_us=RANDOM.randrange(20_000, 900_000),
            phases=Phases(dns_us=900, connect_us=9_000, tls_us=20_000, ttfb_us=90_000),
            tls_expires_at=NOW + timedelta(days=60),
            size_bytes=14_532,
            error=failure if number % 50 == 0 else None,
        )
        for number in range(count)
    ]


def rate(work: Callable[[], object], count: int, *, runs: int = 5) -> float:
    """Return how many a second, in the best of some runs, by the time of this process alone."""
    best = float("inf")
    for _ in range(runs):
        gc.collect()
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return count / best


def row(*cells: object) -> None:
    """Print a row of a table."""
    print(f"| {' | '.join(map(str, cells))} |")


def pool(influx: Influx) -> Any:
    """Return the connections of a client, to send over them what urlmon would not."""
    return influx._http._client.api_client.rest_client.pool_manager  # noqa: SLF001


async def seconds(work: Callable[[], Awaitable[object]], *, runs: int = 3) -> float:
    """Return the shortest time of some runs."""
    best = float("inf")
    for _ in range(runs):
        started = time.perf_counter()
        await work()
        best = min(best, time.perf_counter() - started)
    return best


def bare(batch: Sequence[CheckResult]) -> bytes:
    """Write lines as one would who need not fear None, quotes or millions of series."""
    return "\n".join(
        f"check_results,location={r.location},monitor_id={r.monitor_id},success=true,"
        f"tenant_id={r.tenant_id} checked_at_us={(r.checked_at - EPOCH) // MICROSECOND}i,"
        f"status_code={r.status_code}i,response_time_us={r.response_time_us}i,"
        f"dns_us={r.phases.dns_us}i,connect_us={r.phases.connect_us}i,tls_us={r.phases.tls_us}i,"
        f"ttfb_us={r.phases.ttfb_us}i,transfer_us={r.phases.transfer_us}i,"
        f"tls_expires_at_us={(r.tls_expires_at - EPOCH) // MICROSECOND}i,"  # type: ignore[operator]
        f'size_bytes={r.size_bytes}i,error_kind="",error_message=""'
        f" {(r.scheduled_at - EPOCH) // MICROSECOND}"
        for r in batch
    ).encode()


def bare_of_tuples(rows: Iterable[tuple[Any, ...]]) -> bytes:
    """Write the same from what is text and whole numbers already."""
    return "\n".join(
        [
            f"check_results,location={a},monitor_id={b},success=true,tenant_id={c} "
            f"checked_at_us={d}i,status_code={e}i,response_time_us={f}i,dns_us={g}i,connect_us={h}i,tls_us={i}i,"
            f"ttfb_us={j}i,transfer_us={k}i,tls_expires_at_us={m}i,size_bytes={n}i,"
            f'error_kind="",error_message="" {o}'
            for a, b, c, d, e, f, g, h, i, j, k, m, n, o in rows
        ]
    ).encode()


def a_tuple(r: CheckResult) -> tuple[Any, ...]:
    """Return what `bare_of_tuples` takes."""
    at, checked = (r.scheduled_at - EPOCH) // MICROSECOND, (r.checked_at - EPOCH) // MICROSECOND
    times = (900, 9_000, 20_000, 90_000, -1)
    owner = (r.location, str(r.monitor_id), str(r.tenant_id))
    return (*owner, checked, r.status_code, r.response_time_us, *times, at, r.size_bytes, at)


def a_point(r: CheckResult) -> Point:
    """Return a result as the package's own class."""
    point = (
        Point("check_results")
        .tag("tenant_id", str(r.tenant_id))
        .tag("monitor_id", str(r.monitor_id))
        .tag("location", r.location)
        .tag("success", "true" if r.success else "false")
        .field("checked_at_us", (r.checked_at - EPOCH) // MICROSECOND)
        .field("status_code", r.status_code)
        .field("response_time_us", r.response_time_us)
        .field("dns_us", r.phases.dns_us)
        .field("connect_us", r.phases.connect_us)
        .field("tls_us", r.phases.tls_us)
        .field("ttfb_us", r.phases.ttfb_us)
        .field("transfer_us", -1)
        .field("tls_expires_at_us", (r.checked_at - EPOCH) // MICROSECOND)
        .field("size_bytes", r.size_bytes)
        .field("error_kind", r.error.kind.value if r.error else "")
        .field("error_message", r.error.message if r.error else "")
    )
    return point.time((r.scheduled_at - EPOCH) // MICROSECOND, WritePrecision.US)


def encoder(batch: list[CheckResult]) -> None:
    """Print how fast lines are made."""
    tuples = [a_tuple(each) for each in batch]
    few = batch[: len(batch) // 5]
    ours = rate(lambda: b"".join(encode(batch)), len(batch))
    loop = rate(lambda: bare(batch), len(batch))
    ready = rate(lambda: bare_of_tuples(tuples), len(batch))
    points = rate(lambda: [a_point(each).to_line_protocol() for each in few], len(few))
    print("\n| lines made from results | lines/s | urlmon's is |\n|---|---|---|")
    row("urlmon", f"{ours:,.0f}", "")
    row("f-string loop, the same results, no check", f"{loop:,.0f}", f"{ours / loop:.2f}x")
    row("f-string loop, ready text and numbers", f"{ready:,.0f}", f"{ours / ready:.2f}x")
    row("`Point` of influxdb-client", f"{points:,.0f}", f"{ours / points:.1f}x")


async def ingest(influx: Influx, server: InfluxServer, batch: list[CheckResult]) -> None:
    """Print how fast results are stored, and what is lost while the server is down."""
    parts = [batch[start : start + BATCH] for start in range(0, len(batch), BATCH)]
    store = InfluxCheckResultStore(influx, FakeClock(NOW), retention=RETENTION)
    bodies = [gzip.compress(b"".join(encode(part)), 1) for part in parts]
    http = pool(influx)
    query = {"org": influx.org, "bucket": influx.bucket, "precision": "us"}
    headers = {"Authorization": f"Token {server.endpoint.token}", "Content-Encoding": "gzip"}

    async def ours() -> None:
        for part in parts:
            assert all(fate.stored for fate in await store.record(part))

    async def ready() -> None:
        for body in bodies:
            url = f"{server.url}/api/v2/write"
            async with http.post(url, params=query, headers=headers, data=body) as response:
                assert response.status == 204

    def batching(url: str, **options: Any) -> int:
        failed: list[str] = []
        options = {"batch_size": BATCH, "flush_interval": 500, **options}
        token = server.endpoint.token
        with InfluxDBClient(url, token, org=influx.org, enable_gzip=True) as client:
            api = client.write_api(
                write_options=WriteOptions(**options),
                error_callback=lambda _, lines, __: failed.append(lines),
            )
            for each in batch:
                api.write(influx.bucket, record=a_point(each))
            api.close()
        return sum(len(lines.splitlines()) for lines in failed)

    await ready()  # makes the series
    bodies_s, ours_s = float("inf"), float("inf")
    for _ in range(3):  # in turns, so that both have the same weather
        bodies_s = min(bodies_s, await seconds(ready, runs=1))
        ours_s = min(ours_s, await seconds(ours, runs=1))
    writer_s = await seconds(lambda: asyncio.to_thread(batching, server.url), runs=1)
    count = len(batch)
    print("\n| stored on the same server | results/s | urlmon's is |\n|---|---|---|")
    row(f"urlmon, `record`, batches of {BATCH:,}", f"{count / ours_s:,.0f}", "")
    row("ready bodies, compressed", f"{count / bodies_s:,.0f}", f"{bodies_s / ours_s:.2f}x")
    row("batching `WriteApi`", f"{count / writer_s:,.0f}", f"{writer_s / ours_s:.1f}x")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        limits = {"retry_interval": 100, "max_retries": 2, "max_close_wait": 2_000}
        reported = await asyncio.to_thread(batching, dead, **limits)
    print(
        f"\nWith the server down (two quick retries, two seconds to close): `WriteApi` raised"
        f" nothing, reported {reported:,} of {count:,} results as failed and lost the other"
        f" {count - reported:,} without a word; urlmon raises `UnavailableError` for each batch."
    )


def records(body: bytes) -> list[Any]:
    """Decode an answer as the package does."""
    answer = HTTPResponse(body=io.BytesIO(body), preload_content=False)
    parser = FluxCsvParser(answer, FluxSerializationMode.stream)
    return list(parser.generator())


def a_result_of(record: Any) -> CheckResult:
    """Make of a record what urlmon gives."""
    r = record.values
    failed = r["success"] == "false"
    names = ("dns_us", "connect_us", "tls_us", "ttfb_us", "transfer_us")
    return CheckResult(
        tenant_id=TenantId(r["tenant_id"]),
        monitor_id=MonitorId(r["monitor_id"]),
        location=r["location"],
        scheduled_at=r["_time"],
        checked_at=EPOCH + MICROSECOND * r["checked_at_us"],
        error=CheckError(kind=ErrorKind(r["error_kind"]), message=r["error_message"])
        if failed
        else None,
        status_code=r["status_code"],
        response_time_us=r["response_time_us"],
        phases=Phases(**{name: None if r[name] == -1 else r[name] for name in names}),
        tls_expires_at=EPOCH + MICROSECOND * r["tls_expires_at_us"],
        size_bytes=r["size_bytes"],
    )


async def answers(influx: Influx, server: InfluxServer, flux: str) -> list[bytes]:
    """Return what the server says to a query of Flux, pivoted and as it comes."""
    url = f"{server.url}/api/v2/query?org={influx.org}"
    headers = {"Authorization": f"Token {server.endpoint.token}"}
    dialect = {"header": True, "delimiter": ",", "annotations": ["datatype", "group", "default"]}
    bodies: list[bytes] = []
    for query in (flux + PIVOT, flux):
        body = {"query": query, "dialect": dialect}
        async with pool(influx).post(url, headers=headers, json=body) as response:
            bodies.append(await response.read())
            assert response.status == 200
    return bodies


async def decoding(influx: Influx, server: InfluxServer, batch: list[CheckResult]) -> None:
    """Print how fast results are decoded, on the answers of the same server."""
    monitor, since, until = batch[0].monitor_id, NOW - RETENTION, NOW + timedelta(minutes=1)
    pivoted, plain = await answers(influx, server, flux_of(influx, monitor))
    select = Select(
        columns=f'{FIELDS}, "monitor_id", "location", "success"',
        since_us=microseconds(since),
        until_us=microseconds(until),
        tenant_id=TENANT,
        monitor_ids=[monitor],
        then='GROUP BY "tenant_id" ORDER BY time DESC',
    )
    lines: list[bytes] = []

    def keep(rows: Rows) -> None:
        series = {"tags": rows.tags, "columns": rows.columns, "values": rows.values}
        lines.append(
            json.dumps({"results": [{"series": [series]}]}, separators=(",", ":")).encode()
        )

    await influx.query("benchmark", *select.bound(), take=keep)

    def ours() -> list[CheckResult]:
        found: list[CheckResult] = []
        for answer in lines:
            for each in json.loads(answer)["results"][0]["series"]:
                rows = Rows(each["tags"], each["columns"], each["values"])
                found += decode(rows, TENANT, [monitor])
        return found

    def theirs() -> list[CheckResult]:
        return [a_result_of(each) for each in records(pivoted)]

    assert sorted(ours(), key=str) == sorted(theirs(), key=str)
    count = len(batch)
    speeds = {
        "urlmon, as `CheckResult`": rate(ours, count),
        "pivoted, `FluxRecord`": rate(lambda: records(pivoted), count, runs=3),
        "pivoted, made into `CheckResult`": rate(theirs, count, runs=3),
        "not pivoted, a `FluxRecord` a field": rate(lambda: records(plain), count, runs=1),
    }
    print(f"\n| {count:,} results decoded | results/s | urlmon's is |\n|---|---|---|")
    mine, *_ = speeds.values()
    for name, speed in speeds.items():
        row(name, f"{speed:,.0f}", f"{mine / speed:.1f}x")


def flux_of(influx: Influx, monitor: MonitorId) -> str:
    """Return the query of all points of a monitor."""
    since, until = NOW - RETENTION, NOW + timedelta(minutes=1)
    return (
        f'from(bucket: "{influx.bucket}") |> range(start: {since.isoformat()},'
        f" stop: {until.isoformat()}) |> filter(fn: (r) => r._measurement =="
        f' "check_results" and r.monitor_id == "{monitor}")'
    )


async def reading(influx: Influx, server: InfluxServer, batch: list[CheckResult]) -> None:
    """Print how fast results are read, with the server."""
    monitor, whole = batch[0].monitor_id, len(batch)
    store = InfluxCheckResultStore(influx, FakeClock(NOW), retention=RETENTION)
    period = Period(since=NOW - RETENTION, until=NOW + timedelta(minutes=1))

    async def history() -> None:
        found, cursor = 0, None
        while found < whole:
            page = await store.history(TENANT, [monitor], period=period, cursor=cursor, limit=1_000)
            found, cursor = found + len(page.items), page.next_cursor

    async with InfluxDBClientAsync(
        server.url, server.endpoint.token, org=influx.org, timeout=60_000
    ) as client:

        async def stream() -> None:
            text = flux_of(influx, monitor) + PIVOT + ' |> sort(columns: ["_time"], desc: true)'
            assert (
                len([each async for each in await client.query_api().query_stream(text)]) == whole
            )

        ours_s, theirs_s = await seconds(history), await seconds(stream)
    print(f"\n| {whole:,} results read | results/s | |\n|---|---|---|")
    row("urlmon, `history`, a page of 1,000 after the other", f"{whole / ours_s:,.0f}", "")
    row("`query_stream`, pivoted", f"{whole / theirs_s:,.0f}", f"{theirs_s / ours_s:.1f}x")


async def dialects(influx: Influx, server: InfluxServer, batch: list[CheckResult]) -> None:
    """Print the same questions in InfluxQL and in Flux, as raw answers without decoding."""
    http = pool(influx)
    headers = {"Authorization": f"Token {server.endpoint.token}"}
    some = list(dict.fromkeys(each.monitor_id for each in batch))[:100]
    since = NOW - RETENTION

    async def influxql(text: str) -> None:
        form = {"q": text, "db": influx.bucket, "rp": "autogen", "epoch": "u"}
        async with http.post(f"{server.url}/query", headers=headers, data=form) as response:
            answer = await response.read()
            assert response.status == 200
            assert b"series" in answer, answer

    async def flux(then: str, monitors: Sequence[MonitorId]) -> None:
        owners = " or ".join(f'r.monitor_id == "{each}"' for each in monitors)
        text = (
            f'from(bucket: "{influx.bucket}") |> range(start: {since.isoformat()})'
            f' |> filter(fn: (r) => r._measurement == "check_results" and ({owners})) {then}'
        )
        url = f"{server.url}/api/v2/query?org={influx.org}"
        content = {**headers, "Content-Type": "application/vnd.flux"}
        async with http.post(url, headers=content, data=text) as response:
            answer = await response.read()
            assert response.status == 200
            assert len(answer) > 10, text

    def where(monitors: Sequence[MonitorId]) -> str:
        owners = " OR ".join(f"monitor_id = '{each}'" for each in monitors)
        return f"FROM check_results WHERE time >= '{since.isoformat()}' AND ({owners})"

    field = '|> filter(fn: (r) => r._field == "response_time_us")'
    one = some[:1]
    questions = {
        "newest 100 of one monitor": (
            f"SELECT * {where(one)} ORDER BY time DESC LIMIT 100",
            PIVOT + ' |> sort(columns: ["_time"], desc: true) |> limit(n: 100)',
            one,
        ),
        f"newest of {len(some)} monitors": (
            f"SELECT last(response_time_us) {where(some)} GROUP BY monitor_id",
            f'{field} |> group(columns: ["monitor_id"]) |> last()',
            some,
        ),
        f"count by outcome of {len(some)} monitors": (
            f"SELECT count(response_time_us) {where(some)} GROUP BY monitor_id, success",
            f'{field} |> group(columns: ["monitor_id", "success"]) |> count()',
            some,
        ),
        f"95th percentile of {len(some)} monitors": (
            f"SELECT percentile(response_time_us, 95) {where(some)} GROUP BY monitor_id",
            field + '|> toFloat() |> group(columns: ["monitor_id"]) ' + QUANTILE,
            some,
        ),
    }
    print("\n| question, over 90 days of results | InfluxQL | Flux |\n|---|---|---|")
    for name, (text, then, monitors) in questions.items():
        influxql_s = await seconds(lambda text=text: influxql(text))  # type: ignore[misc]
        flux_s = await seconds(lambda then=then, monitors=monitors: flux(then, monitors))  # type: ignore[misc]
        print(f"| {name} | {influxql_s * 1_000:,.0f} ms | {flux_s * 1_000:,.0f} ms |")


async def write(influx: Influx, batch: Sequence[CheckResult]) -> None:
    """Write results without marks of being late; the first ones make a shard for each day."""
    for left in (4, 3, 2, 1, 0):
        try:
            await influx.write("benchmark", encode(batch))
            break
        except UnavailableError:  # to make ninety shards can take longer than the server waits
            if not left:
                raise


@asynccontextmanager
async def another_bucket(server: InfluxServer, name: str) -> AsyncIterator[Influx]:
    """Open a bucket that keeps 181 days."""
    influx = Influx(
        server.url,
        Secret(server.endpoint.token),
        org=server.org,
        bucket=name,
        timeout_seconds=120,
    )
    await influx.open()
    try:
        await ensure_bucket(influx, retention=2 * RETENTION + timedelta(days=1))
        yield influx
    finally:
        await influx.close()


def rolled_up(hours: int, an_hour: int) -> Rolled:
    """Make what a span of so many hours adds up to."""
    checks = hours * an_hour
    values = [int(RANDOM.lognormvariate(11.5, 0.5)) for _ in range(checks)]
    totals = tuple(sum(values) // part for part in (50, 20, 10, 2, 8))
    sums = Sums.counted(
        checks=checks,
        failures=0,
        values=values,
        phase_counts=(checks,) * 5,
        phase_totals_us=totals,
    )
    return Rolled(read_us=microseconds(NOW), made=checks, sums=sums)


async def summaries(server: InfluxServer, monitors: int) -> None:
    """Print how long a summary of 90 days and the 90 before takes, as raw results grow tenfold.

    The rollups are written as the upkeep writes them; of hours only those that are read, and of
    results none, so that it does not take an hour to set up.
    """
    hour = microseconds(NOW.replace(minute=0))
    first, middle = (hour - number * 90 * DAY.length_us for number in (2, 1))
    ids = [MonitorId.new() for _ in range(monitors)]
    print(
        f"\n| summary of {monitors:,} monitors, 90 days and the 90 before | time"
        " | of this process | memory |\n|---|---|---|---|"
    )
    for an_hour in (1, 10):
        async with another_bucket(server, f"rolled-{an_hour}") as influx:
            for level in (WEEK, DAY, HOUR):
                whole = level.length_us // HOUR.length_us
                some = [rolled_up(whole, an_hour) for _ in range(20)]
                spans = level.within(first - DAY.length_us, hour)
                read = [
                    span
                    for span in spans
                    if level != HOUR
                    or min(abs(span - edge) for edge in (first, middle, hour)) <= DAY.length_us
                ]
                for span in read:
                    lines = (
                        line(level, span, (TENANT, each), TOTAL, some[number % 20])
                        for number, each in enumerate(ids)
                    )
                    await influx.write("benchmark", ["".join(lines).encode()])
                marks = "".join(rolled_line(level, span, microseconds(NOW)) for span in spans)
                await influx.write("benchmark", [marks.encode()])
            statistics = InfluxCheckStatistics(influx)
            period = Period(since=instant(middle), until=instant(hour))
            intervals = dict.fromkeys(ids, timedelta(hours=1) / an_hour)

            async def ask(
                statistics: InfluxCheckStatistics = statistics,
                intervals: dict[MonitorId, timedelta] = intervals,
                period: Period = period,
                checks: int = 90 * 24 * an_hour,
            ) -> None:
                found = await statistics.summary(TENANT, intervals, period=period)
                for each in found.values():
                    assert each.previous is not None
                    assert each.statistics.checks == each.previous.statistics.checks == checks

            started = time.process_time()
            taken = await seconds(ask, runs=1)
            busy = time.process_time() - started
            tracemalloc.start()
            await ask()
            memory = tracemalloc.get_traced_memory()[1] / 2**20
            tracemalloc.stop()
        times = (f"{each * 1_000:,.0f} ms" for each in (taken, busy))
        row(f"{an_hour} results an hour", *times, f"{memory:.0f} MiB")


async def upkeep(server: InfluxServer, monitors: int) -> None:
    """Print how long the first upkeep of 90 days takes, and one with nothing to do."""
    count = monitors * 90 * 24
    async with another_bucket(server, "kept") as influx:
        batch = results(count, monitors=monitors, span=RETENTION - timedelta(hours=2))
        for start in range(0, count, BATCH):
            await write(influx, batch[start : start + BATCH])
        clock = FakeClock(NOW + timedelta(minutes=20))
        keeper = InfluxRollupKeeper(influx, clock, retention=RETENTION)
        first = await seconds(keeper.run, runs=1)
        again = await seconds(keeper.run)
    print(f"\n| upkeep of 90 days of {monitors} monitors, {count:,} results | |\n|---|---|")
    row("the first", f"{first:.1f} s")
    row("with nothing to do", f"{again * 1_000:.0f} ms")


async def longest_hold(influx: Influx, batch: list[CheckResult]) -> None:
    """Print for how long recording and reading keep the event loop from others."""
    store = InfluxCheckResultStore(influx, FakeClock(NOW), retention=RETENTION)
    statistics = InfluxCheckStatistics(influx)
    period = Period(since=NOW - RETENTION, until=NOW + timedelta(minutes=1))
    monitors = list(dict.fromkeys(each.monitor_id for each in batch))[:100]
    gaps: list[float] = []

    async def watch() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "record 5,000": lambda: store.record(batch[:BATCH]),
        "history, 1,000": lambda: store.history(TENANT, monitors[:1], period=period, limit=1_000),
        "summary": lambda: statistics.summary(
            TENANT, dict.fromkeys(monitors, timedelta(minutes=5)), period=period
        ),
    }
    print("\n| call | longest hold of the event loop | 99.9 % |\n|---|---|---|")
    for name, call in calls.items():
        gaps.clear()
        watcher = asyncio.create_task(watch())
        for _ in range(5):
            await call()
        watcher.cancel()
        ordered = sorted(gaps)
        rare = ordered[int(len(ordered) * 0.999)]
        print(f"| {name} | {ordered[-1] * 1_000:.1f} ms | {rare * 1_000:.1f} ms |")


async def main(count: int, monitors: int, kept: int) -> None:
    """Measure everything."""
    logging.disable()  # what the package says of a server that is down
    batch = results(count, monitors=100, span=RETENTION - timedelta(hours=2))
    fresh = results(count, monitors=1_000, span=timedelta(minutes=30))
    one = results(count, monitors=1, span=timedelta(days=1))
    encoder(fresh)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = InfluxServer(Path(folder))
        server.start()
        try:
            async with another_bucket(server, "benchmark") as influx:
                await ingest(influx, server, fresh)
                for some in (batch, one):
                    for start in range(0, count, BATCH):
                        await write(influx, some[start : start + BATCH])
                await decoding(influx, server, one)
                await reading(influx, server, one)
                await dialects(influx, server, batch)
                await longest_hold(influx, batch)
            await summaries(server, monitors)
            await upkeep(server, kept)
        finally:
            server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=int, default=10_000)
    parser.add_argument("--monitors", type=int, default=1_000)
    parser.add_argument("--kept", type=int, default=10)
    given = parser.parse_args()
    print(json.dumps({**vars(given), "python": sys.version.split()[0]}))
    asyncio.run(main(given.results, given.monitors, given.kept))
