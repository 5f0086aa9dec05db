"""A cache of JSON values."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.ids import TenantId
from urlmon.errors import InvalidValueError
from urlmon.services.json_cache import JsonCache
from urlmon.testing.cache import InMemoryCache
from urlmon.testing.state import InMemoryState

if TYPE_CHECKING:
    from urlmon.services.json_cache import JsonValue

ENTRY = TenantId.new(), "pages", "key"
TTL = timedelta(minutes=1)
TEXTS = st.text(st.characters(codec="utf-8"))
VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=10,
).filter(lambda value: value is not None)


class Source:
    """Loads a value, and counts how often."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.loads = 0

    async def load(self) -> JsonValue | None:
        """Load it."""
        self.loads += 1
        return self.value


@given(VALUES)
def test_values(value: Any) -> None:
    """Every value comes back as it was, set or loaded."""

    async def program() -> None:
        cache, source = JsonCache(InMemoryCache(InMemoryState())), Source(value)
        assert await cache.get(*ENTRY) is None
        for _ in range(2):
            assert await cache.get_or_load(*ENTRY, load=source.load, ttl=TTL) == value
        assert source.loads == 1
        assert await cache.set(*ENTRY, value=value, ttl=TTL)
        found = await cache.get(*ENTRY)
        assert found == value
        assert type(found) is type(value)

    asyncio.run(program())


@pytest.mark.parametrize(
    "value", [None, (1,), {1: 2}, float("nan"), float("inf"), b"x", {"a": {1}}, "\ud800", object()]
)
async def test_what_is_no_json(value: Any) -> None:
    """What JSON would change or cannot say is refused, and not kept."""
    cache = JsonCache(InMemoryCache(InMemoryState()))
    with pytest.raises(InvalidValueError, match="JSON"):
        await cache.set(*ENTRY, value=value, ttl=TTL)
    if value is not None:
        with pytest.raises(InvalidValueError, match="JSON"):
            await cache.get_or_load(*ENTRY, load=Source(value).load, ttl=TTL)
    assert await cache.get(*ENTRY) is None


async def test_nothing() -> None:
    """That there is nothing is kept too."""
    cache, source = JsonCache(InMemoryCache(InMemoryState())), Source(None)
    for _ in range(2):
        assert await cache.get_or_load(*ENTRY, load=source.load, ttl=TTL) is None
    assert source.loads == 1


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"null", b"[" * 100_000])
async def test_what_cannot_be_read(body: bytes) -> None:
    """What is kept and is no JSON is loaded again."""
    bytes_cache, source = InMemoryCache(InMemoryState()), Source([1])
    cache = JsonCache(bytes_cache)
    assert await bytes_cache.set(*ENTRY, value=body, ttl=TTL)
    assert await cache.get(*ENTRY) is None
    for _ in range(2):
        assert await cache.get_or_load(*ENTRY, load=source.load, ttl=TTL) == [1]
    assert source.loads == 1
    assert await cache.get(*ENTRY) == [1]
