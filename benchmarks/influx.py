"""Measure the InfluxDB adapter beside what a user would write instead, on one real server.

Run it on an idle machine: .venv/bin/python benchmarks/influx.py [results [monitors]]
It prints tables for docs/reference/performance.md.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import logging
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from influxdb_client import InfluxDBClient, Point, WriteOptions, WritePrecision
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind, Phases
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.secrets import Secret
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
from urlmon_adapters.influx._lines import encode
from urlmon_adapters.servers import InfluxServer

RESULTS = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
MONITORS = int(sys.argv[2]) if len(sys.argv) > 2 else 50
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


async def decoding(influx: Influx, server: InfluxServer, batch: list[CheckResult]) -> None:
    """Print how fast results are read."""
    store = InfluxCheckResultStore(influx, FakeClock(NOW), retention=RETENTION)
    monitor = batch[0].monitor_id
    period = Period(since=NOW - RETENTION, until=NOW + timedelta(minutes=1))
    wanted = min(5_000, sum(each.monitor_id == monitor for each in batch))

    async def ours() -> None:
        found, cursor = 0, None
        while found < wanted:
            page = await store.history(TENANT, [monitor], period=period, cursor=cursor, limit=1_000)
            found, cursor = found + len(page.items), page.next_cursor
            if cursor is None:
                break
        assert found >= wanted

    flux = (
        f'from(bucket: "{influx.bucket}") |> range(start: {period.since.isoformat()},'
        f" stop: {period.until.isoformat()}) |> filter(fn: (r) => r._measurement =="
        f' "check_results" and r.monitor_id == "{monitor}")'
        f"{PIVOT}"
        ' |> sort(columns: ["_time"], desc: true)'
        f" |> limit(n: {wanted})"
    )
    async with InfluxDBClientAsync(
        server.url, server.endpoint.token, org=influx.org, timeout=60_000
    ) as client:

        async def theirs() -> None:
            records = [each async for each in await client.query_api().query_stream(flux)]
            assert len(records) == wanted

        for call in (ours, theirs):
            await call()
        cpu: list[float] = []
        for call in (ours, theirs):
            times = []
            for _ in range(3):
                started = time.process_time()
                await call()
                times.append(time.process_time() - started)
            cpu.append(min(times))
        ours_s, theirs_s = await seconds(ours), await seconds(theirs)
    print(f"\n| {wanted:,} results read | results/s | of the client's own time |\n|---|---|---|")
    row("urlmon, as `CheckResult`", f"{wanted / ours_s:,.0f}", f"{wanted / cpu[0]:,.0f}/s")
    row("pivoted `FluxRecord`", f"{wanted / theirs_s:,.0f}", f"{wanted / cpu[1]:,.0f}/s")
    row("urlmon's is", f"{theirs_s / ours_s:.1f}x", f"{cpu[1] / cpu[0]:.1f}x")


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


async def summaries(server: InfluxServer) -> None:
    """Print how long a summary of 90 days takes, as raw results grow tenfold."""
    print(
        f"\n| summary of {MONITORS} monitors, 90 days and the 90 before | from results |"
        " rolled up in | from rollups |\n|---|---|---|---|"
    )
    for checks in (MONITORS * 90 * 8, MONITORS * 90 * 80):
        influx = Influx(
            server.url,
            Secret(server.endpoint.token),
            org=server.org,
            bucket=f"growing-{checks}",
            timeout_seconds=120,
        )
        await influx.open()
        await ensure_bucket(influx, retention=RETENTION)
        batch = results(checks, monitors=MONITORS, span=RETENTION - timedelta(hours=2))
        for start in range(0, checks, BATCH):
            await write(influx, batch[start : start + BATCH])
        statistics = InfluxCheckStatistics(influx)
        intervals = dict.fromkeys((each.monitor_id for each in batch[:MONITORS]), RETENTION / 720)
        period = Period(since=NOW - RETENTION + timedelta(hours=1), until=NOW)

        async def ask(
            statistics: InfluxCheckStatistics = statistics,
            intervals: dict[MonitorId, timedelta] = intervals,
            period: Period = period,
        ) -> None:
            found = await statistics.summary(TENANT, intervals, period=period)
            assert len(found) == MONITORS

        raw_s = await seconds(ask, runs=1)
        clock = FakeClock(NOW + timedelta(minutes=20))
        keeper = InfluxRollupKeeper(influx, clock, retention=RETENTION)
        keep_s = await seconds(keeper.run, runs=1)
        rolled_s = await seconds(ask)
        print(
            f"| {checks:,} results | {raw_s * 1_000:,.0f} ms | {keep_s:,.1f} s |"
            f" {rolled_s * 1_000:,.0f} ms |"
        )
        await influx.close()


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


async def main() -> None:
    """Measure everything."""
    logging.disable()  # what the package says of a server that is down
    batch = results(RESULTS, monitors=100, span=RETENTION - timedelta(hours=2))
    fresh = results(RESULTS, monitors=1_000, span=timedelta(minutes=30))
    encoder(fresh)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = InfluxServer(Path(folder))
        server.start()
        try:
            influx = Influx(
                server.url,
                Secret(server.endpoint.token),
                org=server.org,
                bucket="benchmark",
                timeout_seconds=120,
            )
            await influx.open()
            await ensure_bucket(influx, retention=RETENTION)
            await ingest(influx, server, fresh)
            for start in range(0, len(batch), BATCH):
                await write(influx, batch[start : start + BATCH])
            await decoding(influx, server, batch)
            await dialects(influx, server, batch)
            await longest_hold(influx, batch)
            await summaries(server)
            await influx.close()
        finally:
            server.stop()


if __name__ == "__main__":
    print(json.dumps({"results": RESULTS, "monitors": MONITORS, "python": sys.version.split()[0]}))
    asyncio.run(main())
