"""Keyset pages: a bounded list and the cursor that continues it."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from attrs import field, frozen

from urlmon.domain._validators import check_instant
from urlmon.errors import InvalidValueError

T = TypeVar("T")

MAX_PAGE_SIZE = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@frozen(kw_only=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: The rows, in the order that the port states.
        next_cursor: What continues the list after `items`; None when nothing follows.
    """

    items: tuple[T, ...]
    next_cursor: str | None = field(default=None)


def check_page_size(limit: int) -> int:
    """Return `limit` if it is a permitted page size.

    Raises:
        InvalidValueError: It is not a whole number from 1 to 1,000.
    """
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE_SIZE:
        raise InvalidValueError("limit", f"must be a whole number from 1 to {MAX_PAGE_SIZE}")
    return limit


def encode_cursor(*parts: str) -> str:
    """Make an opaque, URL-safe cursor from the sort key of the last row of a page."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, parts: int) -> tuple[str, ...]:
    """Return the sort key inside a cursor.

    Raises:
        InvalidValueError: The text was not made by `encode_cursor` with this number of parts.
    """
    try:
        decoded = json.loads(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        )
    except (ValueError, TypeError, binascii.Error) as exc:
        raise InvalidValueError("cursor", "must come from a page of the same list") from exc
    if not isinstance(decoded, list) or len(decoded) != parts:
        raise InvalidValueError("cursor", "must come from a page of the same list")
    if not all(isinstance(part, str) for part in decoded):
        raise InvalidValueError("cursor", "must come from a page of the same list")
    return tuple(decoded)


def instant_to_text(at: datetime) -> str:
    """Write an instant as whole microseconds since 1970, for a cursor."""
    return str((at - _EPOCH) // timedelta(microseconds=1))


def instant_from_text(text: str) -> datetime:
    """Read an instant from a cursor.

    Raises:
        InvalidValueError: The text is no whole number of microseconds in the supported years.
    """
    try:
        return check_instant("cursor", _EPOCH + timedelta(microseconds=int(text)))
    except (ValueError, OverflowError) as exc:
        raise InvalidValueError("cursor", "must come from a page of the same list") from exc
