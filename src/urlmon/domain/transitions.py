"""Transitions on their way to an alerter."""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import field, frozen

from urlmon.domain._validators import check_text
from urlmon.domain.alerting import Transition
from urlmon.domain.leases import LONGEST_LEASE, check_ttl
from urlmon.errors import InvalidValueError

MAX_ATTEMPTS = 10
"""A transition that was claimed this often without being settled becomes a dead letter."""
MAX_CLAIM = 100


@frozen(kw_only=True)
class ClaimedTransition:
    """A transition leased to one alerter.

    Attributes:
        transition: What to act on.
        token: Identifies the claim; settling needs it.
        attempt: How often it has been claimed, from 1.
        leased_until: When it becomes due for others, by the store's clock.
    """

    transition: Transition
    token: str = field(repr=False)
    attempt: int
    leased_until: datetime


@frozen(kw_only=True)
class DeadLetter:
    """A transition that was given up.

    Attributes:
        transition: What nobody settled.
        attempts: How often it was claimed.
        at: When it was given up, by the store's clock.
    """

    transition: Transition
    attempts: int
    at: datetime


def check_claim(request_id: object, limit: object, lease: object) -> None:
    """Refuse a claim that is out of its limits: see `TransitionOutbox.claim`.

    Raises:
        InvalidValueError: An argument is out of its range.
    """
    check_text("request_id", request_id, longest=100)
    if type(limit) is not int or not 1 <= limit <= MAX_CLAIM:
        raise InvalidValueError("limit", f"must be a whole number from 1 to {MAX_CLAIM}")
    check_ttl(lease, field="lease")


def check_delay(delay: object) -> timedelta:
    """Return how long a transition is put off: up to 24 hours in whole milliseconds.

    Raises:
        InvalidValueError: It is no such duration.
    """
    if (
        not isinstance(delay, timedelta)
        or not timedelta(0) <= delay <= LONGEST_LEASE
        or delay % timedelta(milliseconds=1)
    ):
        raise InvalidValueError("delay", "must be 0 to 24 hours in whole milliseconds")
    return delay
