"""The ports: what an application may ask of the stores, in the domain's language."""

from urlmon.ports.alert_state import AlertStateCache
from urlmon.ports.alerts import AlertRepo
from urlmon.ports.archive import CheckResultArchive
from urlmon.ports.cache import Cache
from urlmon.ports.channels import ChannelRepo
from urlmon.ports.check_results import CheckResultStore
from urlmon.ports.clock import Clock
from urlmon.ports.counters import FailureCounters
from urlmon.ports.deny_list import DenyList
from urlmon.ports.directory import MonitorDirectory
from urlmon.ports.health import HealthCheck
from urlmon.ports.locks import Locks
from urlmon.ports.monitors import MonitorRepo
from urlmon.ports.outbox import TransitionOutbox
from urlmon.ports.removals import Removals
from urlmon.ports.schedule import Schedule
from urlmon.ports.sessions import SessionStore
from urlmon.ports.spool import Spool
from urlmon.ports.statistics import CheckStatistics
from urlmon.ports.tenants import TenantRepo
from urlmon.ports.working_state import WorkingState

__all__ = [
    "CROSS_TENANT",
    "AlertRepo",
    "AlertStateCache",
    "Cache",
    "ChannelRepo",
    "CheckResultArchive",
    "CheckResultStore",
    "CheckStatistics",
    "Clock",
    "DenyList",
    "FailureCounters",
    "HealthCheck",
    "Locks",
    "MonitorDirectory",
    "MonitorRepo",
    "Removals",
    "Schedule",
    "SessionStore",
    "Spool",
    "TenantRepo",
    "TransitionOutbox",
    "WorkingState",
]

CROSS_TENANT = frozenset(
    {
        # The operator's and the checkers' view of everybody.
        "CheckResultArchive.scan",
        "MonitorDirectory.changes",
        "MonitorDirectory.list_active",
        "TenantRepo.add",
        "TenantRepo.find_by_slug",
        "TenantRepo.list",
        "TenantRepo.update",
        # Items that carry their tenant.
        "CheckResultStore.record",
        "Removals.claim",
        "Removals.clear",
        "Removals.settle",
        "Schedule.backlog",
        "Schedule.claim",
        "Schedule.complete",
        "Schedule.release",
        "Schedule.renew",
        "Schedule.seed",
        "Spool.append",
        "Spool.bury",
        "TransitionOutbox.backlog",
        "TransitionOutbox.claim",
        "TransitionOutbox.dead_letters",
        "TransitionOutbox.release",
        "TransitionOutbox.settle",
        # A token says whose session it is.
        "SessionStore.find",
        "SessionStore.revoke",
        # No tenant's data.
        "Clock.now",
        "DenyList.deny",
        "DenyList.is_denied",
        "HealthCheck.check",
        "Locks.acquire",
        "Locks.hold",
        "Locks.release",
        "Locks.remaining",
        "Locks.renew",
        # What one process has waiting, of whatever tenants.
        "Spool.close",
        "Spool.open",
        "Spool.read",
        "Spool.settle",
        "Spool.status",
        "WorkingState.begin_repair",
        "WorkingState.finish_repair",
        "WorkingState.is_whole",
        "WorkingState.origin",
    }
)
"""The port methods whose first argument is not a `tenant_id`, and why; every other one's is."""
