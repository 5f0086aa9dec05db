"""What a contract suite is run over: the ports of one store, together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from attrs import frozen

from urlmon.ports import (
    AlertRepo,
    AlertStateCache,
    Cache,
    ChannelRepo,
    CheckResultArchive,
    CheckResultStore,
    CheckStatistics,
    Clock,
    DenyList,
    FailureCounters,
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


@frozen(kw_only=True)
class RelationalStores:
    """The relational record; a contract gets it from the fixture `relational`, empty."""

    tenants: TenantRepo
    monitors: MonitorRepo
    directory: MonitorDirectory
    channels: ChannelRepo
    alerts: AlertRepo
    removals: Removals


@frozen(kw_only=True)
class ResultStores:
    """Check results and what reads them; a contract gets it from the fixture `recording`, empty.

    The store keeps results for 90 days by `clock`, which stands still.
    """

    results: CheckResultStore
    statistics: CheckStatistics
    archive: CheckResultArchive
    clock: Clock


@frozen(kw_only=True)
class WorkingStores:
    """The working state; a contract gets it from the fixture `working`, empty and whole.

    `advance` pushes the store's clock on, for deadlines that the store decides.  `lose` makes the
    store lose everything that it has.  `cache_elsewhere` is the cache as another process has it.
    """

    alert_state: AlertStateCache
    outbox: TransitionOutbox
    locks: Locks
    schedule: Schedule
    cache: Cache
    cache_elsewhere: Cache
    counters: FailureCounters
    sessions: SessionStore
    deny_list: DenyList
    working_state: WorkingState
    advance: Callable[[timedelta], Awaitable[None]]
    lose: Callable[[], Awaitable[None]]
