"""Keyset pages: a bounded list and the cursor that continues it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

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


def check_many(name: str, items: Sequence[object]) -> None:
    """Refuse to take up more rows at once than a page may have.

    Raises:
        InvalidValueError: More than 1,000 items are given.
    """
    if len(items) > MAX_PAGE_SIZE:
        raise InvalidValueError(name, f"must have at most {MAX_PAGE_SIZE} items")


def encode_cursor(*parts: str) -> str:
    """Make an opaque, URL-safe cursor from the sort key of the last row of a page."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, parts: int, *, scope: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the sort key inside a cursor.

    Args:
        cursor: What the caller gave.
        parts: The parts of the sort key.
        scope: The parts before it, which tell the list from every other.

    Raises:
        InvalidValueError: The text was not made by `encode_cursor` with this scope and this number
            of parts.
    """
    try:
        decoded = json.loads(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        )
    except (ValueError, TypeError, RecursionError) as exc:
        raise _foreign_cursor() from exc
    if not isinstance(decoded, list) or not all(isinstance(part, str) for part in decoded):
        raise _foreign_cursor()
    if len(decoded) != len(scope) + parts or tuple(decoded[: len(scope)]) != scope:
        raise _foreign_cursor()
    return tuple(decoded[len(scope) :])


def ids_after(cursor: str | None, scope: tuple[str, ...], *, ids: int = 1) -> tuple[UUID, ...]:
    """Return the ids after which a list goes on: nil ones, lower than all, where it begins.

    Raises:
        InvalidValueError: The cursor is not from the list of this scope.
    """
    if cursor is None:
        return (UUID(int=0),) * ids
    return tuple(map(uuid_from_text, decode_cursor(cursor, ids, scope=scope)))


def page_of(
    rows: Sequence[T], limit: int, scope: tuple[str, ...], key: Callable[[T], tuple[object, ...]]
) -> Page[T]:
    """Cut a page from the rows of a list, of which one more than `limit` was asked for.

    Args:
        rows: The rows; whether there is one more tells whether a page follows.
        limit: Items of the page.
        scope: What tells the list from every other.
        key: The sort key of a row.
    """
    items = tuple(rows[:limit])
    following = encode_cursor(*scope, *map(str, key(items[-1]))) if len(rows) > limit else None
    return Page(items=items, next_cursor=following)


def _foreign_cursor() -> InvalidValueError:
    return InvalidValueError("cursor", "must come from a page of the same list")


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
        raise _foreign_cursor() from exc


def uuid_from_text(text: str) -> UUID:
    """Read a UUID from a cursor.

    Raises:
        InvalidValueError: The text is none.
    """
    try:
        return UUID(text)
    except ValueError as exc:
        raise _foreign_cursor() from exc


def number_from_text(text: str) -> int:
    """Read a number of a sequence from a cursor.

    Raises:
        InvalidValueError: The text is no whole number from 0 to 2**64 - 1.
    """
    if not re.fullmatch(r"[0-9]{1,20}", text) or int(text) >= 2**64:
        raise _foreign_cursor()
    return int(text)
