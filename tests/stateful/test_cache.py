"""Random programs on a cache: the fake and the real adapter give the same answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.fixtures.twins import Twins, WorkingProgram, run_program

from urlmon.domain.caching import Entry, Turn
from urlmon.domain.ids import TenantId

if TYPE_CHECKING:
    import pytest

    from urlmon.services.loads import Shelf
    from urlmon.testing.contracts.stores import WorkingStores

MINUTE: Final = timedelta(minutes=1)
TENANT: Final = TenantId.new()
ENTRIES: Final = st.sampled_from(
    [
        Entry(TENANT, "a", "b"),
        Entry(TENANT, "a", ":b"),
        Entry(TENANT, "a:", "b"),
        Entry(TenantId.new(), "a", "b"),
    ]
)
VALUES: Final = st.sampled_from([b"", b"\xff", b"1"])
TTLS: Final = st.sampled_from([5, 15, 25, 58]).map(lambda minutes: minutes * MINUTE)
TURN: Final = 25 * MINUTE


class CacheProgram(WorkingProgram):
    """Everything that can be done to a cache, each load in its steps."""

    def __init__(self, twins: Twins) -> None:
        super().__init__(twins)
        self.turns: list[tuple[Entry, str]] = []
        self.number = 0

    @rule(entry=ENTRIES, value=VALUES, ttl=TTLS)
    def set(self, entry: Entry, value: bytes, ttl: timedelta) -> None:
        """Keep a value."""
        parts = entry.tenant_id, entry.namespace, entry.key
        assert self.twins.same(lambda stores: stores.cache.set(*parts, value=value, ttl=ttl))

    @rule(entry=ENTRIES)
    def get(self, entry: Entry) -> None:
        """Read a value."""
        parts = entry.tenant_id, entry.namespace, entry.key
        self.twins.same(lambda stores: stores.cache_elsewhere.get(*parts))

    @rule(entry=ENTRIES)
    def delete(self, entry: Entry) -> None:
        """Drop a value."""
        parts = entry.tenant_id, entry.namespace, entry.key
        self.twins.same(lambda stores: stores.cache.delete(*parts))

    @rule(entry=ENTRIES)
    def invalidate(self, entry: Entry) -> None:
        """Drop a namespace."""
        parts = entry.tenant_id, entry.namespace
        self.twins.same(lambda stores: stores.cache.invalidate(*parts))

    @rule(entry=ENTRIES)
    def load(self, entry: Entry) -> None:
        """Begin a load, or find that none is needed, or that another goes on."""
        self.number += 1
        token = f"token {self.number}"
        begun = self.twins.same(lambda stores: shelf(stores).begin(entry, token))
        if isinstance(begun, Turn):
            assert begun.token is not None
            self.turns.append((entry, begun.token))

    @precondition(lambda self: self.turns)
    @rule(number=st.integers(0), value=st.none() | VALUES, ttl=TTLS)
    def finish(self, number: int, value: bytes | None, ttl: timedelta) -> None:
        """End one of the newest loads, whatever became of it."""
        entry, token = self.turns[-1 - number % min(len(self.turns), 6)]
        self.twins.same(lambda stores: shelf(stores).finish(entry, token, value=value, ttl=ttl))

    @precondition(lambda self: self.turns)
    @rule(number=st.integers(0))
    def abandon(self, number: int) -> None:
        """Give up one of the newest loads, whatever became of it."""
        entry, token = self.turns[-1 - number % min(len(self.turns), 6)]
        self.twins.same(lambda stores: shelf(stores).abandon(entry, token))


def shelf(stores: WorkingStores) -> Shelf:
    """Return the steps of which loads are made."""
    return cast("Shelf", stores.cache)


def test_cache(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is done to a cache, the fake and Redis answer alike at every step."""
    for module in ("urlmon.testing.cache", "urlmon_adapters.redis.cache"):
        monkeypatch.setattr(f"{module}.TURN", TURN)
    run_program(CacheProgram, redis_url)
