"""What every paged list must hold, in a form that each contract can ask for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from urlmon.domain.pages import Page, encode_cursor
from urlmon.errors import InvalidValueError
from urlmon.testing.contracts.isolation import refusal_of

_T = TypeVar("_T")
ListCall = Callable[[str | None, int], Awaitable[Page[_T]]]
"""A paged list, its arguments other than cursor and limit given."""

_MALFORMED: Final = (
    "",
    " ",
    "=",
    "a",
    "\N{PILE OF POO}",
    "bnVsbA",  # null
    "WzFd",  # [1]
    "W10",  # []
    "W1s" * 20_000,  # nested without end
    encode_cursor("1"),
    encode_cursor("1", "2"),
    encode_cursor("1", "2", "3"),
)


async def walk(call: ListCall[_T], *, limit: int) -> list[tuple[_T, ...]]:
    """Return the pages of a list, from the first to the last."""
    pages = [await call(None, limit)]
    while pages[-1].next_cursor is not None:
        pages.append(await call(pages[-1].next_cursor, limit))
    return [page.items for page in pages]


async def assert_pages(call: ListCall[_T], expected: Sequence[_T]) -> None:
    """Assert that a list has these rows in this order, however it is cut."""
    count = len(expected)
    for limit in {1, 2, max(1, count - 1), max(1, count), count + 1, 1_000}:
        pages = await walk(call, limit=limit)
        assert [row for page in pages for row in page] == list(expected)
        assert len(pages) == max(1, -(-count // limit))
        assert all(len(page) == limit for page in pages[:-1])


async def assert_page_arguments(
    call: ListCall[Any], *, others: Sequence[Awaitable[Page[Any]]] = ()
) -> None:
    """Assert that limits out of range and cursors not made by this list are refused.

    Args:
        call: The list.
        others: Calls of other lists, each of which gives a cursor.
    """
    for limit in (0, -1, 1_001):
        error = await refusal_of(call(None, limit))
        assert isinstance(error, InvalidValueError)
        assert error.field == "limit"
    cursors = [(await other).next_cursor for other in others]
    assert None not in cursors
    for cursor in (*_MALFORMED, *cursors):
        error = await refusal_of(call(cursor, 10))
        assert isinstance(error, InvalidValueError)
        assert error.field == "cursor"
