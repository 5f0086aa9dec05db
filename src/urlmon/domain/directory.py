"""What a checker needs to know of all tenants' monitors."""

from __future__ import annotations

from attrs import frozen

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.monitors import Monitor


@frozen(kw_only=True)
class MonitorChange:
    """One entry of the change feed.

    Attributes:
        tenant_id: The owner.
        monitor_id: What changed.
        monitor: The monitor as it is now; None when it is no longer active: removed, disabled, or
            its tenant is suspended or gone.
    """

    tenant_id: TenantId
    monitor_id: MonitorId
    monitor: Monitor | None
