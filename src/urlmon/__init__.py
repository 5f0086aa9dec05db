"""The domain and the errors of urlmon, under one name.

Everything here is loaded when it is first asked for, so that `import urlmon` costs nothing.  The
ports are in `urlmon.ports`, the fakes in `urlmon.testing`, the real adapters in `urlmon_adapters`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urlmon.domain.alert_policy import (
        AlertPolicy,
        FlapMarks,
    )
    from urlmon.domain.alert_state import (
        AlertState,
        LocationState,
        MonitorStatus,
    )
    from urlmon.domain.alerting import (
        Decision,
        DecisionKind,
    )
    from urlmon.domain.alerts import (
        Alert,
        AlertEvent,
        AlertEventKind,
        AlertStatus,
        Opening,
    )
    from urlmon.domain.channels import (
        ChannelHealth,
        ChannelKind,
        NotificationChannel,
    )
    from urlmon.domain.check_results import (
        CheckError,
        CheckOutcome,
        CheckResult,
        ErrorKind,
        Phases,
    )
    from urlmon.domain.counters import (
        FailureCount,
    )
    from urlmon.domain.directory import (
        MonitorChange,
    )
    from urlmon.domain.fates import (
        Fate,
        Refusal,
    )
    from urlmon.domain.health import (
        ComponentHealth,
        HealthReport,
        HealthStatus,
    )
    from urlmon.domain.ids import (
        AlertId,
        ChannelId,
        MonitorId,
        TenantId,
    )
    from urlmon.domain.leases import (
        Lease,
    )
    from urlmon.domain.monitors import (
        Method,
        Monitor,
        StatusRange,
    )
    from urlmon.domain.pages import (
        Page,
    )
    from urlmon.domain.periods import (
        Period,
    )
    from urlmon.domain.scheduling import (
        ClaimedCheck,
        ScheduleBacklog,
        ScheduleEntry,
    )
    from urlmon.domain.secrets import (
        Secret,
    )
    from urlmon.domain.sessions import (
        Login,
        Session,
    )
    from urlmon.domain.statistics import (
        DailyBar,
        DailyUsage,
        FailureGroup,
        PhaseMeans,
        ResponseTimes,
        Statistics,
        Summary,
        Window,
    )
    from urlmon.domain.tenants import (
        Tenant,
        TenantLimits,
        TenantStatus,
    )
    from urlmon.domain.transitions import (
        ClaimedTransition,
        DeadLetter,
        Transition,
        TransitionKind,
    )
    from urlmon.errors import (
        AlreadyExistsError,
        ConfigurationError,
        ConflictError,
        CorruptDataError,
        InvalidValueError,
        LeaseLostError,
        LimitExceededError,
        MigrationError,
        NotFoundError,
        StoreError,
        UnavailableError,
        UrlmonError,
    )

__all__ = [
    "Alert",
    "AlertEvent",
    "AlertEventKind",
    "AlertId",
    "AlertPolicy",
    "AlertState",
    "AlertStatus",
    "AlreadyExistsError",
    "ChannelHealth",
    "ChannelId",
    "ChannelKind",
    "CheckError",
    "CheckOutcome",
    "CheckResult",
    "ClaimedCheck",
    "ClaimedTransition",
    "ComponentHealth",
    "ConfigurationError",
    "ConflictError",
    "CorruptDataError",
    "DailyBar",
    "DailyUsage",
    "DeadLetter",
    "Decision",
    "DecisionKind",
    "ErrorKind",
    "FailureCount",
    "FailureGroup",
    "Fate",
    "FlapMarks",
    "HealthReport",
    "HealthStatus",
    "InvalidValueError",
    "Lease",
    "LeaseLostError",
    "LimitExceededError",
    "LocationState",
    "Login",
    "Method",
    "MigrationError",
    "Monitor",
    "MonitorChange",
    "MonitorId",
    "MonitorStatus",
    "NotFoundError",
    "NotificationChannel",
    "Opening",
    "Page",
    "Period",
    "PhaseMeans",
    "Phases",
    "Refusal",
    "ResponseTimes",
    "ScheduleBacklog",
    "ScheduleEntry",
    "Secret",
    "Session",
    "Statistics",
    "StatusRange",
    "StoreError",
    "Summary",
    "Tenant",
    "TenantId",
    "TenantLimits",
    "TenantStatus",
    "Transition",
    "TransitionKind",
    "UnavailableError",
    "UrlmonError",
    "Window",
]

_MODULES = (
    "urlmon.domain.alert_policy",
    "urlmon.domain.alert_state",
    "urlmon.domain.alerting",
    "urlmon.domain.alerts",
    "urlmon.domain.channels",
    "urlmon.domain.check_results",
    "urlmon.domain.counters",
    "urlmon.domain.directory",
    "urlmon.domain.fates",
    "urlmon.domain.health",
    "urlmon.domain.ids",
    "urlmon.domain.leases",
    "urlmon.domain.monitors",
    "urlmon.domain.pages",
    "urlmon.domain.periods",
    "urlmon.domain.scheduling",
    "urlmon.domain.secrets",
    "urlmon.domain.sessions",
    "urlmon.domain.statistics",
    "urlmon.domain.tenants",
    "urlmon.domain.transitions",
    "urlmon.errors",
)


def __getattr__(name: str) -> object:
    """Load a public name from the module that defines it."""
    if name in __all__:
        for module in map(import_module, _MODULES):
            if getattr(getattr(module, name, None), "__module__", None) == module.__name__:
                globals()[name] = value = getattr(module, name)
                return value
    raise AttributeError(f"module 'urlmon' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
