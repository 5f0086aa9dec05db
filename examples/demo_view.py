"""What the demo shows: health, the live table, the summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from demo_services import Service
from urlmon import (
    Alert,
    AlertStatus,
    CheckResult,
    HealthReport,
    HealthStatus,
    Monitor,
    MonitorId,
    MonitorStatus,
    Period,
    Summary,
    TenantId,
)
from urlmon_adapters.container import PersistencePorts

_STATUS = {
    MonitorStatus.UP: "[green]up[/]",
    MonitorStatus.DOWN: "[red]down[/]",
    MonitorStatus.UNKNOWN: "[dim]unknown[/]",
}
_HEALTH = {
    HealthStatus.PASS: "[green]pass[/]",
    HealthStatus.WARN: "[yellow]warn[/]",
    HealthStatus.FAIL: "[red]fail[/]",
}
_PERCENTILES = ("p50 ms>", "p95 ms>", "p99 ms>")
_ELASTIC = {"last result", "cause", "say"}
_LOOK_BACK = timedelta(minutes=5)


class View:
    """Reads the stores and draws what they say."""

    def __init__(self, stores: PersistencePorts) -> None:
        self._clock = stores.clock()
        self._alerts = stores.alerts()
        self._alert_state = stores.alert_state()
        self._results = stores.check_results()
        self._statistics = stores.statistics()
        self._outbox = stores.outbox()
        self._begun = self._clock.now()
        self._acknowledged = False
        self.services: Sequence[Service] = ()
        self.any_result = False

    def health(self, report: HealthReport) -> RenderableType:
        """Draw the health report."""
        table = Table(box=SIMPLE_HEAD, title="Health", title_justify="left")
        _columns(table, "store", "status", "version", "latency", "say")
        for each in report.components:
            said = each.problems or tuple(f"{name}: {fact}" for name, fact in each.details[:3])
            latency = f"{each.latency_us / 1000:.1f} ms"
            table.add_row(
                each.name, _HEALTH[each.status], each.version or "-", latency, "; ".join(said)
            )
        return table

    async def table(
        self, tenant_id: TenantId, monitors: Mapping[MonitorId, Monitor], *, seconds_left: int
    ) -> RenderableType:
        """Draw how each monitor stands."""
        now = self._clock.now()
        ids = tuple(monitors)
        latest = await self._results.latest(tenant_id, ids)
        states = await self._alert_state.get_many(tenant_id, ids)
        period = Period(since=max(self._begun, now - _LOOK_BACK), until=now)
        summaries = await self._statistics.summary(
            tenant_id, {each: monitors[each].interval for each in ids}, period=period
        )
        table = Table(
            box=SIMPLE_HEAD,
            title=f"Live, {seconds_left} s to go (Ctrl-C ends it sooner)",
            title_justify="left",
        )
        _columns(table, "monitor", "status", "last result", "checks>", "uptime>", "p95 ms>")
        for each in ids:
            self.any_result = self.any_result or each in latest
            summary = summaries[each]
            table.add_row(
                monitors[each].name,
                _STATUS[states[each].status],
                _last(latest.get(each)),
                str(summary.statistics.checks),
                _share(summary.statistics.uptime),
                _percentiles(summary)[1],
            )
        return Group(table, self._service_line())

    def _service_line(self) -> Text:
        """Name the processes that run, and those that do no more."""
        parts = [
            f"{each.name} ({each.state})"
            if each.process.returncode is not None
            else f"{each.name} (pid {each.process.pid})"
            for each in self.services
        ]
        said = f"Running: {', '.join(parts)}. Try kill -9 on any of them: the others go on."
        return Text(said, style="dim")

    def _service_table(self) -> RenderableType:
        table = Table(box=SIMPLE_HEAD, title="Services", title_justify="left")
        _columns(table, "service", "pid>", "did")
        for each in self.services:
            table.add_row(each.name, str(each.process.pid), each.state)
        return table

    async def acknowledge_one(self, tenant_id: TenantId) -> None:
        """Take one firing alert on, as the person on call would, once a run."""
        if self._acknowledged:
            return
        firing = await self._alerts.list(tenant_id, status=AlertStatus.FIRING, limit=1)
        for alert in firing.items:
            at = max(self._clock.now(), alert.opened_at)
            await self._alerts.acknowledge(
                tenant_id, alert.id, by="on-call", at=at, note="looking into it"
            )
            self._acknowledged = True

    async def summary(
        self, tenant_id: TenantId, monitors: Mapping[MonitorId, Monitor], period: Period
    ) -> RenderableType:
        """Draw what this run and all runs amount to."""
        summaries = await self._statistics.summary(
            tenant_id, {each: monitor.interval for each, monitor in monitors.items()}, period=period
        )
        table = Table(box=SIMPLE_HEAD, title="This run", title_justify="left")
        _columns(table, "monitor", "checks>", "failed>", "uptime>", "coverage>", *_PERCENTILES)
        for each, summary in summaries.items():
            statistics = summary.statistics
            table.add_row(
                monitors[each].name,
                str(statistics.checks),
                str(statistics.failures),
                _share(statistics.uptime),
                _share(summary.coverage),
                *_percentiles(summary),
            )
        return Group(
            table,
            await self._alert_table(tenant_id, monitors),
            self._service_table(),
            await self._totals(tenant_id),
        )

    async def _alert_table(
        self, tenant_id: TenantId, monitors: Mapping[MonitorId, Monitor]
    ) -> RenderableType:
        page = await self._alerts.list(tenant_id, limit=10)
        table = Table(box=SIMPLE_HEAD, title="Alerts, newest first", title_justify="left")
        _columns(table, "monitor", "opened", "acknowledged", "resolved", "told", "cause")
        for alert in page.items:
            monitor = monitors.get(alert.monitor_id)
            table.add_row(
                "an earlier run's" if monitor is None else monitor.name, *_alert_cells(alert)
            )
        return table

    async def _totals(self, tenant_id: TenantId) -> RenderableType:
        today = self._clock.now().date()
        usage = await self._statistics.usage(
            tenant_id, first=today - timedelta(days=89), last=today
        )
        where = "InfluxDB" if "Influx" in type(self._results).__name__ else "PostgreSQL"
        waiting = await self._outbox.backlog()
        return Text(
            f"All runs: {sum(day.checks for day in usage)} results in {where}; "
            f"{waiting} transitions waiting in Redis."
        )

    def next_steps(self, folder: Path, *, influxdb: bool) -> RenderableType:
        """Say how to look further."""
        lines = [
            "The data stay in " + str(folder) + "; `make demo` goes on with them.",
            "To look further:  .venv/bin/urlmon servers --folder " + str(folder),
            "prints the settings to export; then  .venv/bin/urlmon health  or any SQL client.",
        ]
        if not influxdb:
            lines.append("`make influxd` builds an InfluxDB once; the next demo then uses it.")
        return Text("\n".join(lines), style="dim")


def _columns(table: Table, *headings: str) -> None:
    """Add columns, those ending in `>` to the right; only the elastic ones give way."""
    for heading in headings:
        name = heading.removesuffix(">")
        wide = {"monitor": 15, "acknowledged": 16}.get(name, max(8, len(name)))
        table.add_column(
            name,
            justify="right" if heading.endswith(">") else "left",
            no_wrap=name != "say",
            min_width=None if name in _ELASTIC else wide,
        )


def _last(result: CheckResult | None) -> str:
    if result is None:
        return "[dim]none yet[/]"
    if result.error is not None:
        said = f"{result.error.kind}: {result.error.message}"
        return f"[red]{said[:40].replace('[', '(')}[/]"
    return f"[green]{result.status_code}[/] in {_milliseconds(result.response_time_us or 0)} ms"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _milliseconds(microseconds: int) -> str:
    return f"{microseconds / 1000:.1f}"


def _percentiles(summary: Summary) -> tuple[str, str, str]:
    times = summary.statistics.response_times
    if times is None:
        return ("-", "-", "-")
    return (
        _milliseconds(times.p50_us),
        _milliseconds(times.p95_us),
        _milliseconds(times.p99_us),
    )


def _alert_cells(alert: Alert) -> tuple[str, str, str, str, str]:
    def clock(at: datetime | None) -> str:
        return "-" if at is None else f"{at:%H:%M:%S}"

    acknowledged = clock(alert.acknowledged_at)
    if alert.acknowledged_by is not None:
        acknowledged += f" {alert.acknowledged_by}"
    count = f"{alert.notification_count}x"
    return (
        clock(alert.opened_at),
        acknowledged,
        clock(alert.resolved_at),
        count,
        alert.cause[:30].replace("[", "("),
    )
