"""The contract of `Cache`."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from urlmon.domain.ids import TenantId
from urlmon.errors import InvalidValueError
from urlmon.testing.contracts._cache_loads import (
    MINUTE,
    SECOND,
    SURE,
    TENANT,
    LoadingContract,
    Source,
    loaded,
)
from urlmon.testing.contracts.isolation import assert_nil_refused, refusal_of
from urlmon.testing.contracts.stores import WorkingStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS, IMPOSSIBLE_TEXTS

MICROSECOND = timedelta(microseconds=1)


class CacheContract(LoadingContract):
    """What every `Cache` must hold."""

    async def test_set(self, working: WorkingStores) -> None:
        """The newest value is kept, byte for byte, for every process."""
        for value in (b"first", b"", bytes(range(256)), b"\xff" * 1_048_576, b"last"):
            for _ in range(2):
                assert await working.cache.set(TENANT, "pages", "key", value=value, ttl=MINUTE)
                assert await working.cache.get(TENANT, "pages", "key") == value
            assert await working.cache_elsewhere.get(TENANT, "pages", "key") == value
        assert await loaded(working.cache, Source().load) == b"last"

    async def test_end(self, working: WorkingStores) -> None:
        """A value is kept for its time, less a tenth at most; setting it again begins anew."""
        cache = working.cache
        for _ in range(2):
            await cache.set(TENANT, "pages", "key", value=b"value", ttl=MINUTE)
            await working.advance(MINUTE * SURE - SECOND)
            assert await cache.get(TENANT, "pages", "key") == b"value"
        await working.advance(MINUTE)
        assert await cache.get(TENANT, "pages", "key") is None
        for ttl in (SECOND, timedelta(days=30)):
            await cache.set(TENANT, "pages", "key", value=b"value", ttl=ttl)
            assert await cache.get(TENANT, "pages", "key") == b"value"
            await working.advance(ttl)
            assert await cache.get(TENANT, "pages", "key") is None

    async def test_spread(self, working: WorkingStores) -> None:
        """Values that were set together do not end together."""
        ttl, keys = timedelta(hours=1), [str(each) for each in range(100)]
        for key in keys:
            await working.cache.set(TENANT, "pages", key, value=b"value", ttl=ttl)
        await working.advance(ttl * 0.95)
        found = [await working.cache.get(TENANT, "pages", key) for key in keys]
        assert set(found) == {None, b"value"}

    async def test_delete(self, working: WorkingStores) -> None:
        """A value that was deleted is gone, and only that; there need be none."""
        cache = working.cache
        for key in ("key", "another"):
            await cache.set(TENANT, "pages", key, value=b"value", ttl=MINUTE)
        for _ in range(2):
            await cache.delete(TENANT, "pages", "key")
            assert await working.cache_elsewhere.get(TENANT, "pages", "key") is None
        assert await cache.get(TENANT, "pages", "another") == b"value"
        await loaded(cache, Source(None).load)
        await cache.delete(TENANT, "pages", "key")
        assert await loaded(cache, Source().load) == b"loaded"

    async def test_invalidate(self, working: WorkingStores) -> None:
        """All values of a namespace are gone at once, and for good; what comes later stays."""
        cache, keys = working.cache, [str(each) for each in range(20)]
        for key in keys:
            await cache.set(TENANT, "pages", key, value=b"old", ttl=timedelta(days=1))
        await loaded(cache, Source(None).load)
        for _ in range(2):
            await cache.invalidate(TENANT, "pages")
            assert {await working.cache_elsewhere.get(TENANT, "pages", key) for key in keys} == {
                None
            }
        await cache.set(TENANT, "pages", "0", value=b"new", ttl=MINUTE)
        assert await loaded(cache, Source().load) == b"loaded"
        assert await cache.get(TENANT, "pages", "0") == b"new"
        assert {await cache.get(TENANT, "pages", key) for key in keys[1:]} == {None}

    async def test_apart(self, working: WorkingStores) -> None:
        """Tenants and namespaces are apart, whatever is done to one of them."""
        cache, other = working.cache, TenantId.new()
        places = [(TENANT, "pages"), (other, "pages"), (TENANT, "page"), (TENANT, "pages:")]
        for number, place in enumerate(places):
            await cache.set(*place, "key", value=str(number).encode(), ttl=MINUTE)
        for number, place in enumerate(places):
            assert await cache.get(*place, "key") == str(number).encode()
        await cache.invalidate(*places[0])
        await cache.delete(*places[2], "key")
        found = [await cache.get(*place, "key") for place in places]
        assert found == [None, b"1", None, b"3"]

    async def test_names(self, working: WorkingStores) -> None:
        """Namespaces and keys are text of any kind, and differ however alike they look."""
        texts = [
            *HOSTILE_TEXTS,
            *("a", "A", "a:b", "b:a", "a%3Ab", "{a}", "}", "{}", "a b", "a+b", "a%20b", "*"),
            *("value", "value:a", "load", "generation", ":", "%"),
        ]
        names = [
            *((first, second) for first in texts for second in ("a", ":a", "value")),
            *(("a:", text) for text in texts),
            ("\U0001f525" * 100, "\U0001f525" * 200),
        ]
        for number, (namespace, key) in enumerate(names):
            value = str(number).encode()
            assert await working.cache.set(TENANT, namespace, key, value=value, ttl=MINUTE)
        answers = await asyncio.gather(*(working.cache.get(TENANT, *each) for each in names))
        assert answers == [str(number).encode() for number in range(len(names))]

    async def test_arguments(self, working: WorkingStores) -> None:
        """Arguments beyond their limits are refused by name, and nothing is loaded."""
        cache, source = working.cache, Source()
        ttls = (timedelta(0), SECOND - MICROSECOND * 1000, SECOND + MICROSECOND, timedelta(31), 60)
        long = b"x" * 1_048_577
        refused = [
            *(
                ("ttl", cache.set(TENANT, "a", "b", value=b"", ttl=ttl))  # type: ignore[arg-type]
                for ttl in ttls
            ),
            *(
                ("ttl", cache.get_or_load(TENANT, "a", "b", load=source.load, ttl=ttl))  # type: ignore[arg-type]
                for ttl in ttls
            ),
            *(
                (
                    "nothing_ttl",
                    cache.get_or_load(
                        TENANT,
                        "a",
                        "b",
                        load=source.load,
                        ttl=MINUTE,
                        nothing_ttl=ttl,  # type: ignore[arg-type]
                    ),
                )
                for ttl in ttls
            ),
            *(
                ("value", cache.set(TENANT, "a", "b", value=value, ttl=MINUTE))  # type: ignore[arg-type]
                for value in (long, "text", None, bytearray(b"x"))
            ),
        ]
        for text in ("", *IMPOSSIBLE_TEXTS, "x" * 101, 1):
            refused.append(("namespace", cache.invalidate(TENANT, text)))  # type: ignore[arg-type]
            refused.append(("namespace", cache.get(TENANT, text, "b")))  # type: ignore[arg-type]
        for text in ("", *IMPOSSIBLE_TEXTS, "x" * 201, 1):
            refused.append(("key", cache.delete(TENANT, "a", text)))  # type: ignore[arg-type]
            refused.append(("key", cache.set(TENANT, "a", text, value=b"", ttl=MINUTE)))  # type: ignore[arg-type]
            refused.append(
                ("key", cache.get_or_load(TENANT, "a", text, load=source.load, ttl=MINUTE))  # type: ignore[arg-type]
            )
        for name, call in refused:
            error = await refusal_of(call)
            assert isinstance(error, InvalidValueError)
            assert error.field == name
        assert source.loads == 0

    async def test_nil_tenant(self, working: WorkingStores) -> None:
        """No method takes the nil tenant."""
        cache, source = working.cache, Source()
        await assert_nil_refused(
            lambda tenant: cache.get(tenant, "a", "b"),
            lambda tenant: cache.set(tenant, "a", "b", value=b"", ttl=MINUTE),
            lambda tenant: cache.delete(tenant, "a", "b"),
            lambda tenant: cache.get_or_load(tenant, "a", "b", load=source.load, ttl=MINUTE),
            lambda tenant: cache.invalidate(tenant, "a"),
        )
