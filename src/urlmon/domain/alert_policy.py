"""When a monitor counts as down, when as flapping, and when its alert is told again."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from attrs import field, frozen

from urlmon.domain._validators import distinct, duration, kind_of, optional, pattern, whole
from urlmon.domain.alerts import AVAILABILITY, RULE, RULE_MEANING
from urlmon.domain.monitors import (
    LOCATION,
    LOCATION_MEANING,
    LONGEST_REMINDER,
    MAX_LOCATIONS,
    SHORTEST_REMINDER,
    Monitor,
)
from urlmon.errors import InvalidValueError

_SECOND: Final = timedelta(seconds=1)
WINDOW: Final = 20
"""So many of the newest outcomes decide whether a monitor flaps."""
_NEWEST: Final = 95
_WHOLE: Final = 1_520


@frozen(kw_only=True)
class FlapMarks:
    """From which share of changes on a monitor flaps, and down to which.

    The share is that of `weigh` in 1,520; the defaults are those of Nagios for services.

    Attributes:
        low: Flapping ends at this share or below, 0 to 100 percent.
        high: Flapping begins at this share or above, 1 to 100 percent, and more than `low`.
    """

    low: int = field(default=20, validator=whole(0, 100))
    high: int = field(default=30, validator=whole(1, 100))

    def __attrs_post_init__(self) -> None:
        if self.low >= self.high:
            raise InvalidValueError("low", "must be below high")

    def begins(self, changes: int) -> bool:
        """Say whether a monitor with these changes begins to flap: see `weigh`."""
        return 100 * weigh(changes) >= self.high * _WHOLE

    def ends(self, changes: int) -> bool:
        """Say whether a monitor with these changes ends to flap: see `weigh`."""
        return 100 * weigh(changes) <= self.low * _WHOLE


def weigh(changes: int) -> int:
    """Return the weight of the changes within the window; all 20 together weigh 1,520.

    Bit n of `changes` is set if the outcome n before the newest changed the verdict.  The weights
    fall evenly from 95 for the newest to 57 for the oldest.  That is the curve of Nagios Core
    (`base/flapping.c`; "Detection and Handling of State Flapping" in its manual), 1.25 to 0.75,
    times 76 to be whole numbers.
    """
    return sum(_NEWEST - 2 * age for age in range(WINDOW) if changes >> age & 1)


@frozen(kw_only=True)
class AlertPolicy:
    """When a monitor counts as down.

    Built by hand it is the bare thresholds: every location counts, nothing flaps, and no reminder
    is made.  `of` makes the whole of it from a monitor.

    Attributes:
        failure_threshold: Failures in a row that make a location failing, 1 to 20.
        recovery_threshold: Successes in a row that end it, 1 to 20.
        quorum: Failing locations that make the monitor down, 1 to 20; where `locations` are fewer,
            all of them.
        rule: The rule that alerts are opened for.
        locations: The 1 to 20 locations that count; None for all.
        flapping: When the monitor flaps; None for never.
        reminder_interval: Time between reminders of an open alert, whole seconds from 1 minute to
            30 days; None for no reminders.
        version: The version of the configuration that says so.  A policy of a lower version than
            was applied before is not applied again.  0, the lowest, for a policy without versions.
    """

    failure_threshold: int = field(default=2, validator=whole(1, 20))
    recovery_threshold: int = field(default=1, validator=whole(1, 20))
    quorum: int = field(default=1, validator=whole(1, 20))
    rule: str = field(default=AVAILABILITY, validator=pattern(RULE, RULE_MEANING))
    locations: tuple[str, ...] | None = field(
        default=None,
        validator=optional(
            distinct(MAX_LOCATIONS, pattern(LOCATION, LOCATION_MEANING), shortest=1)
        ),
    )
    flapping: FlapMarks | None = field(default=None, validator=optional(kind_of(FlapMarks)))
    reminder_interval: timedelta | None = field(
        default=None,
        validator=optional(duration(SHORTEST_REMINDER, LONGEST_REMINDER, unit=_SECOND)),
    )
    version: int = field(default=0, validator=whole(0, 2**31 - 1))

    @classmethod
    def of(cls, monitor: Monitor) -> AlertPolicy:
        """Return the policy that a monitor's configuration asks for, with `FlapMarks()`."""
        return cls(
            failure_threshold=monitor.failure_threshold,
            recovery_threshold=monitor.recovery_threshold,
            locations=monitor.locations,
            flapping=FlapMarks(),
            reminder_interval=monitor.reminder_interval,
            version=monitor.version,
        )

    @property
    def needed(self) -> int:
        """How many failing locations make the monitor down: never more than there are."""
        return self.quorum if self.locations is None else min(self.quorum, len(self.locations))

    def counts(self, location: str) -> bool:
        """Say whether outcomes of a location count."""
        return self.locations is None or location in self.locations
