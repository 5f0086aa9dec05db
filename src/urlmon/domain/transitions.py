"""Transitions on their way to an alerter."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from urlmon.domain.alerting import Transition

MAX_ATTEMPTS = 10
"""A transition that was claimed this often without being settled becomes a dead letter."""


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
