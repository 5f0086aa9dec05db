"""Half-open periods of time in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import field, frozen

from urlmon.domain._validators import instant, to_utc
from urlmon.errors import InvalidValueError


@frozen(kw_only=True)
class Period:
    """The instants from `since` (included) to `until` (excluded)."""

    since: datetime = field(converter=to_utc, validator=instant)
    until: datetime = field(converter=to_utc, validator=instant)

    def __attrs_post_init__(self) -> None:
        if self.until <= self.since:
            raise InvalidValueError("until", "must be later than since")

    @property
    def length(self) -> timedelta:
        """How long the period is."""
        return self.until - self.since

    def __contains__(self, at: object) -> bool:
        return isinstance(at, datetime) and self.since <= at < self.until
