"""What is left of monitors that were removed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen

from urlmon.domain._validators import check_instant, instant, kind_of, to_utc
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.pages import MAX_PAGE_SIZE
from urlmon.errors import InvalidValueError


@frozen(kw_only=True)
class RemovedMonitor:
    """A monitor that is gone, while its results may not be.

    Attributes:
        tenant_id: Whose it was.
        monitor_id: The monitor.
        removed_at: When it was removed, the last time.
    """

    tenant_id: TenantId = field(validator=kind_of(TenantId))
    monitor_id: MonitorId = field(validator=kind_of(MonitorId))
    removed_at: datetime = field(converter=to_utc, validator=instant)


def check_due(due: Mapping[RemovedMonitor, datetime | None]) -> None:
    """Refuse to settle more removed monitors than a page has, or at no instant.

    Raises:
        InvalidValueError: There are more than 1,000, or an instant is naive.
    """
    if len(due) > MAX_PAGE_SIZE:
        raise InvalidValueError("due", f"must have at most {MAX_PAGE_SIZE} items")
    for due_at in due.values():
        if due_at is not None:
            check_instant("due", due_at)
