"""Objects with sensible values, for tests that care about one field only."""

from __future__ import annotations

from typing import Any, TypeVar

from urlmon.domain.alerts import Alert
from urlmon.domain.channels import ChannelKind, NotificationChannel
from urlmon.domain.check_results import CheckOutcome, CheckResult
from urlmon.domain.ids import AlertId, ChannelId, Id, MonitorId, TenantId
from urlmon.domain.monitors import Monitor
from urlmon.domain.tenants import Tenant
from urlmon.testing.clock import NOON

_I = TypeVar("_I", bound=Id)


def _id(fields: dict[str, object], kind: type[_I]) -> _I:
    """Take the id out of the fields, or make one."""
    given = fields.pop("id", None)
    return given if isinstance(given, kind) else kind.new()


def a_tenant(**fields: object) -> Tenant:
    """Make a tenant with a new id and a slug of its own."""
    tenant_id = _id(fields, TenantId)
    values: dict[str, Any] = {
        "slug": f"tenant-{tenant_id.hex}",
        "name": "A tenant",
        "created_at": NOON,
        "updated_at": NOON,
        **fields,
    }
    return Tenant(id=tenant_id, **values)


def a_monitor(tenant_id: TenantId, **fields: object) -> Monitor:
    """Make a monitor of a tenant with a new id and a name of its own."""
    monitor_id = _id(fields, MonitorId)
    values: dict[str, Any] = {
        "name": f"Monitor {monitor_id.hex}",
        "url": "https://example.com/",
        "created_at": NOON,
        "updated_at": NOON,
        **fields,
    }
    return Monitor(id=monitor_id, tenant_id=tenant_id, **values)


def a_channel(tenant_id: TenantId, **fields: object) -> NotificationChannel:
    """Make a webhook channel of a tenant with a new id and a name of its own."""
    channel_id = _id(fields, ChannelId)
    values: dict[str, Any] = {
        "name": f"Channel {channel_id.hex}",
        "kind": ChannelKind.WEBHOOK,
        "config": {"url": "https://example.com/hook"},
        "created_at": NOON,
        "updated_at": NOON,
        **fields,
    }
    return NotificationChannel(id=channel_id, tenant_id=tenant_id, **values)


def a_result(tenant_id: TenantId, monitor_id: MonitorId, **fields: object) -> CheckResult:
    """Make a successful result, due and made at noon."""
    at = fields.get("scheduled_at", NOON)
    values: dict[str, Any] = {
        "scheduled_at": at,
        "checked_at": at,
        "status_code": 200,
        "response_time_us": 123_456,
        **fields,
    }
    return CheckResult(tenant_id=tenant_id, monitor_id=monitor_id, **values)


def an_outcome(tenant_id: TenantId, monitor_id: MonitorId, **fields: object) -> CheckOutcome:
    """Make a failed outcome, due at noon."""
    values: dict[str, Any] = {"scheduled_at": NOON, "success": False, **fields}
    return CheckOutcome(tenant_id=tenant_id, monitor_id=monitor_id, **values)


def an_alert(tenant_id: TenantId, monitor_id: MonitorId, **fields: object) -> Alert:
    """Make a firing alert with a new id, opened at noon."""
    alert_id = _id(fields, AlertId)
    values: dict[str, Any] = {"cause": "status: 500", "opened_at": NOON, **fields}
    return Alert(id=alert_id, tenant_id=tenant_id, monitor_id=monitor_id, **values)
