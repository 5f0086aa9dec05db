"""The port for the time of day."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time, so that a test can push it."""

    __slots__ = ()

    @abstractmethod
    def now(self) -> datetime:
        """Return the present instant, aware and in UTC, in whole microseconds."""
