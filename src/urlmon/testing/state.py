"""What the fakes share, as the real adapters share a database."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from datetime import datetime, timedelta

from urlmon.domain.alerting import AlertState
from urlmon.domain.alerts import Alert
from urlmon.domain.caching import Entry
from urlmon.domain.channels import NotificationChannel
from urlmon.domain.check_results import CheckResult
from urlmon.domain.counters import FailureCount
from urlmon.domain.ids import AlertId, ChannelId, MonitorId, TenantId
from urlmon.domain.monitors import Monitor
from urlmon.domain.secrets import Secret
from urlmon.domain.tenants import Tenant
from urlmon.errors import STATE_LOST, UnavailableError
from urlmon.ports import Clock
from urlmon.testing._runs import CheckRequest, Run, RunKey
from urlmon.testing._sessions import UserSessions
from urlmon.testing._transitions import TransitionRows
from urlmon.testing.clock import FakeClock
from urlmon.testing.faults import Faults

ResultKey = tuple[TenantId, MonitorId, str, datetime]


class InMemoryState:
    """The rows of all fakes that belong together.  Hold one for each "database" of a test.

    Attributes:
        clock: The time of all of them.
        faults: Makes their calls fail on demand.
        retention: How long check results are kept.
        origin: What `WorkingState.origin` says.
    """

    def __init__(
        self, *, clock: Clock | None = None, retention: timedelta = timedelta(days=90)
    ) -> None:
        self.clock: Clock = clock or FakeClock()
        self.faults = Faults()
        self.retention = retention
        self.tenants: dict[TenantId, Tenant] = {}
        self.monitors: dict[tuple[TenantId, MonitorId], Monitor] = {}
        self.channels: dict[tuple[TenantId, ChannelId], NotificationChannel] = {}
        self.channel_secrets: dict[tuple[TenantId, ChannelId], Mapping[str, Secret]] = {}
        self.alerts: dict[tuple[TenantId, AlertId], Alert] = {}
        self.results: dict[ResultKey, CheckResult] = {}
        self._forget_working_state()
        self.whole = True
        self.origin = "memory"
        self.repair: str | None = None  # the newest
        self.lease_waiters: list[asyncio.Future[None]] = []
        # These grow for ever, whatever is lost.
        self.fences: dict[str, int] = {}
        self.generations = itertools.count(1)  # of the sessions of all users
        # The change feed: each monitor with the number of its newest change, removed ones too.
        self.changes: dict[tuple[TenantId, MonitorId], int] = {}
        # When a monitor was removed, and when a sweep takes it up next.
        self.removed: dict[tuple[TenantId, MonitorId], tuple[datetime, datetime]] = {}
        self._change = 0

    def _forget_working_state(self) -> None:
        """Have nothing of what is not in the record."""
        self.alert_states: dict[tuple[TenantId, MonitorId], AlertState] = {}
        self.outbox = TransitionRows()
        # The schedule: its monitors with their versions and locations, and their checks.
        self.scheduled: dict[tuple[TenantId, MonitorId], tuple[int, tuple[str, ...]]] = {}
        self.runs: dict[RunKey, Run] = {}
        self.unscheduled: dict[tuple[TenantId, MonitorId], int] = {}  # the versions then known
        self.check_requests: dict[tuple[str, str], CheckRequest] = {}  # by location and id
        # Counts and their ends; sessions by the digest of their user.
        self.failure_counts: dict[tuple[TenantId, MonitorId], tuple[FailureCount, datetime]] = {}
        self.sessions: dict[str, UserSessions] = {}
        self.denied: dict[str, datetime] = {}
        self.denied_since: datetime | None = None
        self.leases: dict[str, tuple[str, datetime]] = {}  # token and end, by the lock's name
        self.cached: dict[Entry, tuple[bytes | None, datetime]] = {}  # value and end
        self.loads: dict[Entry, tuple[str, datetime]] = {}  # token, and for how long others wait

    def lose_everything(self) -> None:
        """Lose the working state, as when Redis was emptied; the record and the results stay."""
        self._forget_working_state()
        self.whole, self.repair = False, None

    def require_whole(self, operation: str) -> None:
        """Refuse a call that must not begin from nothing.

        Raises:
            UnavailableError: The working state was lost, and is not repaired yet.
        """
        if not self.whole:
            raise UnavailableError("memory", operation, STATE_LOST)

    def gone(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Note that a monitor was removed."""
        now = self.clock.now()
        self.removed[tenant_id, monitor_id] = now, now
        self.changed(tenant_id, monitor_id)

    def changed(self, tenant_id: TenantId, monitor_id: MonitorId) -> None:
        """Note in the change feed that a monitor changed."""
        self._change += 1
        self.changes[tenant_id, monitor_id] = self._change
