"""Which signed tokens are refused before their time: pure rules, no storage."""

from __future__ import annotations

from datetime import datetime, timedelta

from urlmon.domain._validators import check_text

LONGEST_TOKEN_ID = 200
CLOCK_SKEW = timedelta(seconds=10)
"""By how much the clock of who issues tokens may be ahead of the store's."""


def check_token_id(token_id: object) -> str:
    """Return the id of a token, such as the `jti` of a JWT: 1 to 200 characters.

    Raises:
        InvalidValueError: It is no such text.
    """
    return check_text("token_id", token_id, longest=LONGEST_TOKEN_ID)


def may_be_forgotten(issued_at: datetime, *, complete_since: datetime) -> bool:
    """Say whether a token may have been denied on a list that was lost since."""
    return issued_at <= complete_since + CLOCK_SKEW
