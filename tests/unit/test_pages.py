"""Pages and their cursors."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.ids import MonitorId
from urlmon.domain.pages import (
    Page,
    check_many,
    check_page_size,
    decode_cursor,
    encode_cursor,
    ids_after,
    instant_from_text,
    instant_to_text,
    number_from_text,
    page_of,
    uuid_from_text,
)
from urlmon.errors import InvalidValueError

_SCOPE = ("list", "of somebody")


def _as_cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("limit", [1, 2, 1_000])
def test_page_sizes(limit: int) -> None:
    """1 to 1,000 items make a page."""
    assert check_page_size(limit) == limit


@pytest.mark.parametrize("limit", [0, -1, 1_001, True, 1.0, "1", None])
def test_other_page_sizes(limit: Any) -> None:
    """Everything else is refused."""
    with pytest.raises(InvalidValueError) as caught:
        check_page_size(limit)
    assert caught.value.field == "limit"


def test_many_ids() -> None:
    """1,000 ids can be looked up at once, and no more."""
    ids = [MonitorId.new()] * 1_000
    check_many("monitor_ids", ids)
    with pytest.raises(InvalidValueError) as caught:
        check_many("monitor_ids", [*ids, ids[0]])
    assert caught.value.field == "monitor_ids"


@given(st.lists(st.text()).map(tuple), st.lists(st.text()).map(tuple))
def test_cursors(scope: tuple[str, ...], key: tuple[str, ...]) -> None:
    """A cursor gives back its sort key to its own list, and is safe in a URL."""
    cursor = encode_cursor(*scope, *key)
    assert decode_cursor(cursor, len(key), scope=scope) == key
    assert not set(cursor) & set("+/=?&#% ")


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_other_text(text: str) -> None:
    """Text that is no cursor is refused, and nothing else is raised."""
    with pytest.raises(InvalidValueError) as caught:
        decode_cursor(text, 1, scope=_SCOPE)
    assert caught.value.field == "cursor"


@pytest.mark.parametrize(
    "cursor",
    [
        None,
        7,
        b"x",
        _as_cursor(None),
        _as_cursor({"a": 1}),
        _as_cursor(["list", "of somebody", 1]),
        _as_cursor(["list", "of somebody"]),
        _as_cursor(["list", "of somebody", "a", "b"]),
        _as_cursor(["list", "of another", "a"]),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
        base64.urlsafe_b64encode(b'["\xff"]').decode(),
        encode_cursor("list", "of somebody", "a") + "!",
    ],
)
def test_cursors_of_other_lists(cursor: Any) -> None:
    """What another list made, or nobody, is refused."""
    with pytest.raises(InvalidValueError) as caught:
        decode_cursor(cursor, 1, scope=_SCOPE)
    assert caught.value.field == "cursor"


@given(st.lists(st.integers()), st.integers(1, 10))
def test_pages(rows: list[int], limit: int) -> None:
    """A page has up to `limit` rows, and a cursor where one more was there."""
    page = page_of(rows[: limit + 1], limit, _SCOPE, lambda row: (row, "x"))
    assert page.items == tuple(rows[:limit])
    if len(rows) <= limit:
        assert page == Page(items=tuple(rows))
    else:
        assert page.next_cursor is not None
        key = decode_cursor(page.next_cursor, 2, scope=_SCOPE)
        assert key == (str(rows[limit - 1]), "x")


def test_ids_after() -> None:
    """A list goes on after the ids in its cursor, and begins before all of them."""
    one, two = MonitorId.new(), MonitorId.new()
    assert ids_after(None, _SCOPE, ids=2) == (UUID(int=0), UUID(int=0))
    assert ids_after(encode_cursor(*_SCOPE, str(one), str(two)), _SCOPE, ids=2) == (one, two)
    for cursor in (encode_cursor(*_SCOPE, "x"), encode_cursor("other", str(one))):
        with pytest.raises(InvalidValueError):
            ids_after(cursor, _SCOPE)


@given(st.integers(0, 2**64 - 1))
def test_numbers(number: int) -> None:
    """Numbers of 64 bits pass through a cursor."""
    assert number_from_text(str(number)) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", " 1", "1_0", "1.0", "\u0661", "1\n", str(2**64), "9" * 5_000]
)
def test_other_numbers(text: str) -> None:
    """Other texts are refused, also those that Python takes for a number."""
    with pytest.raises(InvalidValueError) as caught:
        number_from_text(text)
    assert caught.value.field == "cursor"


@given(st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_instants(at: datetime) -> None:
    """Every microsecond passes through a cursor."""
    assert instant_from_text(instant_to_text(at)) == at


@pytest.mark.parametrize(
    "text",
    ["", "x", "1.5", "-1", "9" * 30, "9" * 5_000]
    + [instant_to_text(datetime(year, 1, 1, tzinfo=UTC)) for year in (1999, 2200)],
)
def test_other_instants(text: str) -> None:
    """What is no instant of the supported years is refused."""
    with pytest.raises(InvalidValueError) as caught:
        instant_from_text(text)
    assert caught.value.field == "cursor"


def test_the_edges_of_time() -> None:
    """The first and the last supported instant pass."""
    first = datetime(2000, 1, 1, tzinfo=UTC)
    last = datetime(2200, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)
    for at in (first, last):
        assert instant_from_text(instant_to_text(at)) == at


def test_uuids() -> None:
    """A UUID passes through a cursor, other text does not."""
    assert uuid_from_text(str(UUID(int=7))) == UUID(int=7)
    with pytest.raises(InvalidValueError) as caught:
        uuid_from_text("x")
    assert caught.value.field == "cursor"
