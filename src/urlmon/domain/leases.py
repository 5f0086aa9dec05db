"""Leases: the right to act on something for a while."""

from __future__ import annotations

from datetime import timedelta
from math import floor

from attrs import field, frozen

from urlmon.domain._validators import check_milliseconds, check_text
from urlmon.errors import InvalidValueError

LONGEST_LOCK_NAME = 200
SHORTEST_LEASE = timedelta(milliseconds=10)
LONGEST_LEASE = timedelta(hours=24)
LONGEST_WAIT = timedelta(hours=1)


@frozen(kw_only=True)
class Lease:
    """A held lock.

    Attributes:
        name: What is locked.
        token: Random text that only the holder knows; never in a repr.
        fence: A number that grows with every acquisition of this name.  Store it with what the lock
            guards, and let a write pass only `WHERE fence <= %s`.
        expires_at: `time.monotonic()` seconds of this process at which the lease is over, counted
            from before the request was sent, and so never later than the server's own deadline.
    """

    name: str
    token: str = field(repr=False)
    fence: int
    expires_at: float


def remaining(lease: Lease, monotonic: float) -> timedelta:
    """Return for how long a lease lasts yet when its clock shows `monotonic`; zero when it is over.

    Rounded down to microseconds, so that it is never said to last longer than it does.
    """
    return timedelta(microseconds=max(0, floor((lease.expires_at - monotonic) * 1_000_000)))


def check_lock_name(name: object) -> str:
    """Return a lock's name: 1 to 200 characters.

    Raises:
        InvalidValueError: It is no such text.
    """
    return check_text("name", name, longest=LONGEST_LOCK_NAME)


def check_wait(wait: object) -> timedelta:
    """Return how long to wait for a lock: up to one hour.

    Raises:
        InvalidValueError: It is no such duration.
    """
    if not isinstance(wait, timedelta) or not timedelta(0) <= wait <= LONGEST_WAIT:
        raise InvalidValueError("wait", "must be 0 to 1 hour")
    return wait


def check_ttl(ttl: object, *, field: str = "ttl") -> timedelta:
    """Return a lease's length: 10 ms to 24 hours in whole milliseconds.

    Raises:
        InvalidValueError: It is no such duration.
    """
    return check_milliseconds(field, ttl, SHORTEST_LEASE, LONGEST_LEASE, "10 ms to 24 hours")
