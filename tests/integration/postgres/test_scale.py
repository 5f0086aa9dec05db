"""The repositories at 10,000 tenants and 100,000 monitors of one: what each statement touches."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import psycopg
import pytest
from attrs import evolve
from psycopg import AsyncCursor
from tests.fixtures.postgres import _database, _template
from tests.fixtures.recording import in_postgres as recording_in_postgres
from tests.fixtures.relational import in_postgres

from urlmon.domain.alerts import AlertStatus
from urlmon.domain.ids import AlertId, ChannelId, MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.tenants import TenantStatus
from urlmon.errors import NotFoundError
from urlmon.testing.builders import a_channel, a_monitor, a_result, a_tenant, an_alert
from urlmon.testing.clock import FakeClock
from urlmon_adapters.postgres import (
    alerts,
    build_pool,
    channels,
    check_results,
    directory,
    monitors,
    removals,
    tenants,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from urlmon.testing.contracts.stores import RelationalStores, ResultStores
    from urlmon_adapters.servers import PostgresEndpoint

_SCRIPT: Final = Path(__file__).parents[3] / "benchmarks" / "scale.sql"
_MODULES: Final = (alerts, channels, check_results, directory, monitors, removals, tenants)
_STATEMENT: Final = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
# Ends where the condition follows.
_BEGINNINGS: Final = {"SELECT_MONITORS", "_COLUMNS"}
_LARGE: Final = "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > 1000"
_MOST_ROWS: Final = 5_000  # of a page of 1,000, with what is looked at beside it
_NOW: Final = datetime.now(UTC)


class Statements:
    """What the adapters sent, and every plan that goes too far."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.wrong: list[str] = []
        self.large: set[str] = set()

    def examine(self, query: str, plan: dict[str, Any]) -> None:
        """Look at a plan, node by node."""
        for node in _nodes(plan):
            table = node.get("Relation Name", "")
            rows = node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0)
            rows *= node.get("Actual Loops", 1)
            scanned = node["Node Type"] == "Seq Scan" and table in self.large
            sorted_ = node["Node Type"] == "Sort" and max(_rows_into(node)) > 1_001
            if scanned or sorted_ or ("Scan" in node["Node Type"] and rows > _MOST_ROWS):
                what = f"{node['Node Type']} {table} {node.get('Index Name', '')} {rows:.0f} rows"
                self.wrong.append(f"{what}\n{query}")


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _rows_into(node: dict[str, Any]) -> list[float]:
    return [0, *(part.get("Actual Rows", 0) for part in node.get("Plans", ()))]


@pytest.fixture
def statements() -> Statements:
    """What is sent, and how it is executed."""
    return Statements()


@pytest.fixture
def loaded_url(postgres_server: PostgresEndpoint, statements: Statements) -> Iterator[str]:
    """URL of a database at scale, on one version of the server: loading it takes a while."""
    for url in _database(postgres_server.url, template=_template(postgres_server.url)):
        with psycopg.connect(url, autocommit=True) as admin:
            with admin.transaction():
                admin.execute(_SCRIPT.read_bytes())
            admin.execute("VACUUM ANALYZE")
            statements.large = {name for (name,) in admin.execute(_LARGE)}
            assert {"tenants", "monitors", "alerts", "check_results_default"} <= statements.large
        yield url


@pytest.fixture
async def pool(statements: Statements, loaded_url: str) -> AsyncIterator[Any]:
    """A pool whose cursors explain what they are given before they execute it."""

    class Explaining(AsyncCursor[Any]):
        async def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
            if isinstance(query, str) and _STATEMENT.match(query):
                statements.sent.append(query)
                how = "ANALYZE, " if re.match(r"\s*(SELECT|WITH)", query) else ""
                await super().execute(f"EXPLAIN ({how}FORMAT JSON) {query}", params)
                row: Any = await self.fetchone()
                (answer,) = row if isinstance(row, tuple) else row.values()
                statements.examine(query, answer[0]["Plan"])
            return await super().execute(query, params, **kwargs)

    pool = build_pool(loaded_url, largest=2)
    assert isinstance(pool.kwargs, dict)
    pool.kwargs["cursor_factory"] = Explaining
    await pool.open(wait=True)
    try:
        yield pool
    finally:
        await pool.close()


def _id(kind: int, number: int) -> UUID:
    return UUID(f"{kind:08x}-0000-7000-8000-{number:012x}")


BIG: Final = TenantId(_id(1, 0))


def _monitor_ids(count: int) -> list[MonitorId]:
    return [MonitorId(_id(2, number)) for number in range(1, count + 1)]


async def _lists(stores: RelationalStores) -> None:
    """Read every list with every filter, two pages each, of both sizes."""
    common, rare = ChannelId(_id(3, 0)), ChannelId(_id(3, 1))
    for limit in (100, 1000):
        for calls, filters in (
            (stores.tenants.list, [{}, *({"status": status} for status in TenantStatus)]),
            (
                stores.monitors.list,
                [
                    {"enabled": enabled, "tag": tag, "channel_id": channel_id}
                    for enabled in (None, True, False)
                    for tag in (None, "common", "rare", "none")
                    for channel_id in (None, common, rare, ChannelId.new())
                    # Two that are frequent each and rare together have no index in common.
                    if enabled is not False or (tag is None and channel_id is None)
                ],
            ),
            (stores.channels.list, [{}]),
            (
                stores.alerts.list,
                [
                    {"monitor_id": monitor_id, "status": status}
                    for monitor_id in (None, MonitorId(_id(2, 5)))
                    for status in (None, *AlertStatus)
                ],
            ),
            (stores.directory.list_active, [{}]),
            (stores.directory.changes, [{}]),
        ):
            cross = calls in {stores.tenants.list, stores.directory.list_active}
            cross = cross or calls == stores.directory.changes
            for chosen in filters:
                arguments = () if cross else (BIG,)
                page: Any = await calls(*arguments, limit=limit, **chosen)
                assert len(page.items) <= limit
                if page.next_cursor is not None:
                    await calls(*arguments, limit=limit, cursor=page.next_cursor, **chosen)


async def _reads(stores: RelationalStores, results: ResultStores) -> None:
    ids = _monitor_ids(1000)
    await stores.tenants.get(BIG)
    await stores.tenants.find_by_slug("t7000")
    await stores.monitors.get_many(BIG, ids)
    await stores.directory.get(BIG, ids[0])
    await stores.channels.for_monitor(BIG, ids[0])
    await stores.channels.reveal(BIG, ChannelId(_id(3, 0)))
    await stores.alerts.get(BIG, AlertId(_id(4, 1)))
    await stores.alerts.open_for(BIG, ids)
    for length in (timedelta(hours=1), timedelta(days=1)):
        await stores.alerts.timeline(BIG, ids, period=Period(since=_NOW - length, until=_NOW))
    await results.results.latest(BIG, ids)
    period = Period(since=_NOW - timedelta(days=30), until=_NOW)
    for success in (None, True, False):
        page = await results.results.history(BIG, [ids[0]], period=period, success=success)
        await results.results.history(
            BIG, [ids[0]], period=period, success=success, cursor=page.next_cursor
        )
    end = None
    for _ in range(210):
        changes = await stores.directory.changes(cursor=end, limit=1000)
        end = changes.next_cursor
    assert changes.items == ()


async def _writes(stores: RelationalStores, results: ResultStores) -> None:
    tenant = await stores.tenants.add(a_tenant())
    await stores.tenants.add(tenant)
    await stores.tenants.update(evolve(tenant, name="New"))
    await stores.tenants.set_status(tenant.id, status=TenantStatus.SUSPENDED, at=_NOW)
    channel = await stores.channels.add(BIG, a_channel(BIG))
    await stores.channels.add(BIG, channel)
    await stores.channels.update(BIG, evolve(channel, name="New"))
    await stores.channels.record_delivery(BIG, channel.id, at=_NOW)
    monitor = await stores.monitors.add(BIG, a_monitor(BIG, channel_ids=(channel.id,)))
    changed = await stores.monitors.update(BIG, evolve(monitor, channel_ids=(), tags=("new",)))
    await stores.monitors.update(BIG, evolve(changed, channel_ids=(channel.id,)))
    await stores.monitors.set_enabled(BIG, monitor.id, enabled=False, at=_NOW)
    alert = (await stores.alerts.open(BIG, an_alert(BIG, monitor.id, opened_at=_NOW))).alert
    await stores.alerts.open(BIG, alert)
    await stores.alerts.acknowledge(BIG, alert.id, by="me", at=_NOW)
    await stores.alerts.count_notification(BIG, alert.id, number=1)
    await stores.alerts.resolve(BIG, alert.id, at=_NOW)
    with pytest.raises(NotFoundError):
        await stores.alerts.open(BIG, an_alert(BIG, MonitorId.new()))
    unknown = TenantId.new()
    with pytest.raises(NotFoundError):
        await stores.channels.add(unknown, a_channel(unknown))
    await stores.channels.remove(BIG, channel.id)
    await stores.monitors.remove(BIG, monitor.id)
    batch = [a_result(BIG, each, scheduled_at=results.clock.now()) for each in _monitor_ids(500)]
    await results.results.record(batch)
    await results.results.forget_monitor(BIG, MonitorId(_id(2, 2)))
    await stores.tenants.remove(tenant.id)
    await stores.tenants.add(evolve(tenant, name="Again"))
    await stores.tenants.remove(tenant.id)
    due = await stores.removals.claim(now=_NOW + timedelta(hours=1), lease=timedelta(hours=1))
    assert len(due) >= 10
    await stores.removals.settle(dict.fromkeys(due, _NOW))
    await stores.removals.settle(dict.fromkeys(due, None))
    while await stores.removals.clear():
        pass


async def _dashboard(stores: RelationalStores, results: ResultStores, count: int) -> None:
    """Read what a page shows of some monitors."""
    shown = (await stores.monitors.list(BIG, limit=count)).items
    assert len(shown) == count
    ids = [monitor.id for monitor in shown]
    await stores.alerts.open_for(BIG, ids)
    await results.results.latest(BIG, ids)
    period = Period(since=_NOW - timedelta(hours=1), until=_NOW)
    intervals = {monitor.id: monitor.interval for monitor in shown}
    await results.statistics.summary(BIG, intervals, period=period)


@pytest.mark.timeout(300)
async def test_no_statement_touches_more_than_it_returns(statements: Statements, pool: Any) -> None:
    """At this size no statement of the repositories reads a table, or sorts more than a page."""
    stores = in_postgres(pool)
    results = recording_in_postgres(pool, FakeClock(_NOW))
    await _lists(stores)
    await _reads(stores, results)
    await _writes(stores, results)
    assert not statements.wrong, "\n\n".join(sorted(set(statements.wrong)))
    sent = "\n".join(statements.sent)
    for module in _MODULES:
        for name, value in vars(module).items():
            texts = value if isinstance(value, tuple) else (value,)
            for text in texts:
                if isinstance(text, str) and _STATEMENT.match(text) and name not in _BEGINNINGS:
                    assert text in sent, f"{module.__name__}.{name} was not sent"
    counts = []
    for count in (1, 1000):
        before = len(statements.sent)
        await _dashboard(stores, results, count)
        counts.append(len(statements.sent) - before)
    # Monitors, alerts and latest results; and the spans and results of both periods.
    assert counts[0] == counts[1] == 3 + 2
