"""Parts of a period: windows of one width, and days on the calendar of a time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

from urlmon.domain._validators import is_positive
from urlmon.domain.periods import Period
from urlmon.errors import InvalidValueError

MAX_WINDOWS = 2_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# In every zone these lie within the years 2000 to 2199 of UTC.
_FIRST_DAY, _LAST_DAY = date(2000, 1, 2), date(2199, 12, 30)
_HOW_MANY_DAYS = f"must give 1 to {MAX_WINDOWS} days from first on"


def windows(period: Period, width: timedelta) -> tuple[Period, ...]:
    """Cut a period at the multiples of `width` since 1970.

    The first and last windows are shorter where the period does not begin or end at a multiple.

    Raises:
        InvalidValueError: The width is not positive, or there would be more than 2,000 windows.
    """
    if not is_positive(width):
        raise InvalidValueError("width", "must be a positive duration")
    # The multiples that lie within the period, behind its beginning.
    first, end = (period.since - _EPOCH) // width + 1, -((_EPOCH - period.until) // width)
    if end - first >= MAX_WINDOWS:
        raise InvalidValueError("width", f"must give at most {MAX_WINDOWS} windows")
    cuts = (_EPOCH + number * width for number in range(first, end))
    edges = pairwise([period.since, *cuts, period.until])
    return tuple(Period(since=since, until=until) for since, until in edges)


def days(first: date, last: date, zone: str = "UTC") -> tuple[tuple[date, Period], ...]:
    """Return the days from `first` to `last`, both included, on the calendar of an IANA time zone.

    A day that the zone left out, when it moved across the date line, is left out here too.

    Raises:
        InvalidValueError: The zone is unknown, `last` is before `first`, there are more than 2,000
            days, or they reach out of the years 2000 to 2199.
    """
    for name, day in (("first", first), ("last", last)):
        if not _supported(day):
            raise InvalidValueError(name, f"must be a date from {_FIRST_DAY} to {_LAST_DAY}")
    calendar = _calendar(zone)
    if (last - first).days >= MAX_WINDOWS:
        raise InvalidValueError("last", _HOW_MANY_DAYS)
    dates = [first + timedelta(days=number) for number in range((last - first).days + 2)]
    # A day that begins without a midnight, because clocks are put forward at it, begins at what the
    # offset before makes of midnight; one with two midnights at the first.  Both are fold 0.
    edges = [datetime(d.year, d.month, d.day, tzinfo=calendar).astimezone(UTC) for d in dates]
    found = tuple(
        (day, Period(since=since, until=until))
        for day, (since, until) in zip(dates, pairwise(edges), strict=False)
        if since < until
    )
    if not found:
        raise InvalidValueError("last", _HOW_MANY_DAYS)
    return found


def _supported(day: object) -> bool:
    plain = not isinstance(day, datetime)
    return plain and isinstance(day, date) and _FIRST_DAY <= day <= _LAST_DAY


def _calendar(zone: str) -> tzinfo:
    # UTC is there also where the machine has no time zone database.
    if zone == "UTC":
        return UTC
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError, TypeError) as exc:
        raise InvalidValueError("zone", "must be the name of an IANA time zone") from exc
