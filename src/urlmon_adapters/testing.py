"""The container of the fakes, for the unit tests of an application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from dependency_injector import providers

from urlmon.ports import (
    AlertRepo,
    AlertStateCache,
    Cache,
    ChannelRepo,
    CheckResultArchive,
    CheckResultStore,
    CheckStatistics,
    DenyList,
    FailureCounters,
    HealthCheck,
    Locks,
    MonitorDirectory,
    MonitorRepo,
    Removals,
    Schedule,
    SessionStore,
    TenantRepo,
    TransitionOutbox,
    WorkingState,
)
from urlmon.services.result_writer import Pace, ResultWriter, Timing
from urlmon.services.sweep import Sweep
from urlmon.services.upkeep import Upkeep
from urlmon.testing.alert_state import InMemoryAlertStateCache
from urlmon.testing.alerts import InMemoryAlertRepo
from urlmon.testing.archive import InMemoryCheckResultArchive
from urlmon.testing.cache import InMemoryCache
from urlmon.testing.channels import InMemoryChannelRepo
from urlmon.testing.check_results import InMemoryCheckResultStore
from urlmon.testing.clock import FakeClock, sleep_until
from urlmon.testing.counters import InMemoryFailureCounters
from urlmon.testing.deny_list import InMemoryDenyList
from urlmon.testing.directory import InMemoryMonitorDirectory
from urlmon.testing.health import InMemoryHealthCheck
from urlmon.testing.locks import InMemoryLocks
from urlmon.testing.monitors import InMemoryMonitorRepo
from urlmon.testing.outbox import InMemoryTransitionOutbox
from urlmon.testing.removals import InMemoryRemovals
from urlmon.testing.schedule import InMemorySchedule
from urlmon.testing.sessions import InMemorySessionStore
from urlmon.testing.spool import InMemorySpool
from urlmon.testing.state import InMemoryState
from urlmon.testing.statistics import InMemoryCheckStatistics
from urlmon.testing.tenants import InMemoryTenantRepo
from urlmon.testing.working_state import InMemoryWorkingState
from urlmon_adapters._upkeep import wire_upkeep
from urlmon_adapters.container import Opened, PersistencePorts


def _result_writer(store: CheckResultStore, spool: InMemorySpool, clock: FakeClock) -> ResultWriter:
    """Build a writer that waits for nothing while all is well, as the clock stands still."""
    timing = Timing(
        monotonic=lambda: clock.now().timestamp(),
        sleep_until=lambda moment: sleep_until(clock, datetime.fromtimestamp(moment, UTC)),
    )
    pace = Pace(linger=timedelta(0))
    return ResultWriter({"memory": store}, {"memory": spool}, timing, pace=pace)


@asynccontextmanager
async def _opened(writer: ResultWriter) -> AsyncIterator[None]:
    async with writer.running():
        yield


class InMemoryContainer(PersistencePorts):
    """The ports over the fakes.  Nothing to start: use it at once, or in `running` alike.

    The result writer alone works in the background, and only in `running`.

    Attributes:
        spool: Where results wait while `CheckResultStore.record` fails.
        state: What the fakes share; `state().faults` lets their calls fail, and
            `state().lose_everything()` loses the working state: `upkeep().repair()` rebuilds it.
        clock: Stands still until it is advanced.
        retention: How long check results are kept.
    """

    retention: providers.Provider[timedelta] = providers.Object(timedelta(days=90))
    # A FakeClock is a Clock, but the stubs make Provider invariant.
    clock: providers.Provider[FakeClock] = providers.Singleton(FakeClock)  # type: ignore[assignment]
    state: providers.Provider[InMemoryState] = providers.Singleton(
        InMemoryState, clock=clock, retention=retention
    )
    tenants: providers.Provider[TenantRepo] = providers.Singleton(InMemoryTenantRepo, state)
    monitors: providers.Provider[MonitorRepo] = providers.Singleton(InMemoryMonitorRepo, state)
    directory: providers.Provider[MonitorDirectory] = providers.Singleton(
        InMemoryMonitorDirectory, state
    )
    channels: providers.Provider[ChannelRepo] = providers.Singleton(InMemoryChannelRepo, state)
    alerts: providers.Provider[AlertRepo] = providers.Singleton(InMemoryAlertRepo, state)
    check_results: providers.Provider[CheckResultStore] = providers.Singleton(
        InMemoryCheckResultStore, state
    )
    statistics: providers.Provider[CheckStatistics] = providers.Singleton(
        InMemoryCheckStatistics, state
    )
    spool: providers.Provider[InMemorySpool] = providers.Singleton(InMemorySpool, state)
    result_writer: providers.Provider[ResultWriter] = providers.Singleton(
        _result_writer, check_results, spool, clock
    )
    archive: providers.Provider[CheckResultArchive] = providers.Singleton(
        InMemoryCheckResultArchive, state
    )
    removals: providers.Provider[Removals] = providers.Singleton(InMemoryRemovals, state)
    sweep: providers.Provider[Sweep] = providers.Singleton(
        Sweep, removals, check_results, clock, grace=retention
    )
    alert_state: providers.Provider[AlertStateCache] = providers.Singleton(
        InMemoryAlertStateCache, state
    )
    outbox: providers.Provider[TransitionOutbox] = providers.Singleton(
        InMemoryTransitionOutbox, state
    )
    locks: providers.Provider[Locks] = providers.Singleton(InMemoryLocks, state)
    schedule: providers.Provider[Schedule] = providers.Singleton(InMemorySchedule, state)
    cache: providers.Provider[Cache] = providers.Singleton(InMemoryCache, state)
    counters: providers.Provider[FailureCounters] = providers.Singleton(
        InMemoryFailureCounters, state
    )
    sessions: providers.Provider[SessionStore] = providers.Singleton(InMemorySessionStore, state)
    deny_list: providers.Provider[DenyList] = providers.Singleton(InMemoryDenyList, state)
    working_state: providers.Provider[WorkingState] = providers.Singleton(
        InMemoryWorkingState, state
    )
    upkeep: providers.Provider[Upkeep] = wire_upkeep(
        working_state=working_state,
        directory=directory,
        alerts=alerts,
        results=check_results,
        schedule=schedule,
        alert_state=alert_state,
        outbox=outbox,
        counters=counters,
        locks=locks,
    )
    health_checks: providers.Provider[tuple[HealthCheck, ...]] = providers.Singleton(
        lambda state: tuple(
            InMemoryHealthCheck(state, name) for name in ("postgresql", "influxdb", "redis")
        ),
        state,
    )
    opened: providers.Provider[Opened] = providers.Factory(_opened, result_writer)
