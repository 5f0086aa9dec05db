"""The rows behind the in-memory `Schedule`."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from attrs import define, frozen

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.scheduling import Grid

RunKey = tuple[TenantId, MonitorId, str]
"""Owner, monitor and location."""


class RunState(Enum):
    """What became of the newest claim."""

    UNCLAIMED = "unclaimed"
    CLAIMED = "claimed"
    COMPLETED = "completed"
    RELEASED = "released"


@define(kw_only=True)
class Run:
    """A monitor on the schedule of a location.

    Attributes:
        grid: When it is due.
        version: Of the configuration that says so.
        slot: When its next check is due; while it is claimed, when that was.
        since: When it can be claimed.
        attempts: How often it was claimed since a check was last completed.
        state: What became of the newest claim.
        token: Of the newest claim.
    """

    grid: Grid
    version: int
    slot: datetime
    since: datetime
    attempts: int = 0
    state: RunState = RunState.UNCLAIMED
    token: str | None = None


@frozen
class CheckRequest:
    """What a request was given, and until when that is remembered."""

    token: str
    until: datetime
    keys: tuple[RunKey, ...]
