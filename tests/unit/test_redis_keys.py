"""The keys of urlmon in Redis."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from urlmon.domain.ids import AlertId, MonitorId, TenantId
from urlmon.domain.sessions import user_digest
from urlmon.errors import InvalidValueError
from urlmon_adapters.redis._keys import BUCKETS, Keys, bucket_of, bucket_order
from urlmon_adapters.redis._states import name_of

KEYS = Keys()
TENANT = TenantId.new()
NAMES = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=20)
HOSTILE = st.text("{}:%aA 2F*?[]\\\n", min_size=1, max_size=8) | NAMES


def slot(key: str) -> int:
    """Return the slot of Redis Cluster that a key is in."""
    return key_slot(key.encode())


@given(st.lists(HOSTILE, unique=True, min_size=2, max_size=10))
def test_names_never_meet(names: list[str]) -> None:
    """However alike two names look, no key of one is a key of the other."""
    made = [
        key
        for name in names
        for key in (
            KEYS.lock(name),
            KEYS.fence(name),
            KEYS.released(name),
            KEYS.claim(1, name),
            KEYS.settled(1, name),
            KEYS.sessions(name),
            *KEYS.denial(name)[1:],
            KEYS.sessions(user_digest(TENANT, name)),
            KEYS.checks(1, "a", name),
            *KEYS.cached(TENANT, name, "a"),
            *KEYS.cached(TENANT, "a:" * 11, name)[1:],  # longer than any name
        )
    ] + [
        key
        for bucket in range(BUCKETS)
        for key in (
            *KEYS.outbox(bucket),
            KEYS.whole(bucket),
            *KEYS.schedule(bucket, "a"),
            *KEYS.schedule(bucket, "a.b"),
            KEYS.checks(bucket, "b", "a"),
            KEYS.checks(bucket, "b-a", "a"),
        )
    ]
    assert len(set(made)) == len(made)


@given(HOSTILE)
def test_names_stay_in_their_slot(name: str) -> None:
    """What one script touches is in one slot, whatever the name."""
    assert slot(KEYS.lock(name)) == slot(KEYS.fence(name))
    assert len({slot(key) for key in KEYS.denial(name)}) == 1
    bucket = {slot(key) for key in KEYS.outbox(3)}
    assert {slot(KEYS.claim(3, name)), slot(KEYS.settled(3, name))} == bucket
    generation = KEYS.generation(TENANT, name)
    assert {slot(key) for key in KEYS.cached(TENANT, name, name)} == {slot(generation)}
    assert {slot(KEYS.checks(3, "a", name)), *map(slot, KEYS.schedule(3, "a"))} == bucket


def test_a_monitor_is_in_the_slot_of_its_outbox() -> None:
    """A state, the outbox of its transitions and the schedule are in one slot; buckets in many."""
    for _ in range(100):
        monitor_id = MonitorId.new()
        bucket = bucket_of(monitor_id)
        states = {slot(key) for key in KEYS.alerts(bucket)}
        assert {slot(key) for key in KEYS.outbox(bucket)} == states
        assert {slot(key) for key in KEYS.scheduled(TenantId.new(), monitor_id)} == states
        assert {slot(key) for key in KEYS.schedule(bucket, "a")} == states
        assert {slot(KEYS.failures(TenantId.new(), monitor_id))} == states
        assert {slot(KEYS.whole(bucket))} == states
    assert len({slot(KEYS.outbox(bucket)[0]) for bucket in range(BUCKETS)}) == BUCKETS


@given(st.lists(st.tuples(HOSTILE, HOSTILE), unique=True, min_size=2, max_size=10))
def test_cached_values_never_meet(names: list[tuple[str, str]]) -> None:
    """However alike tenants, namespaces and keys look, no key of one is a key of another."""
    tenants = TENANT, TenantId.new()
    made = [key for tenant in tenants for name in names for key in KEYS.cached(tenant, *name)[1:]]
    made += {KEYS.generation(tenant, namespace) for tenant in tenants for namespace, _ in names}
    assert len(set(made)) == len(made)
    assert all(KEYS.cached(TENANT, *name)[0] == KEYS.generation(TENANT, name[0]) for name in names)


def test_tenants_never_meet() -> None:
    """A state's key tells tenants and monitors apart."""
    one, other = TenantId.new(), MonitorId.new()
    assert name_of(one, other) != name_of(TenantId(other), MonitorId(one))
    assert KEYS.failures(one, other) != KEYS.failures(TenantId(other), MonitorId(one))
    assert user_digest(one, "ann") != user_digest(TenantId(other), "ann")
    removed, _ = KEYS.scheduled(one, other)
    assert removed != KEYS.scheduled(TenantId(other), MonitorId(one))[0]


def test_buckets_are_even() -> None:
    """Monitors are spread evenly, whatever version their ids have."""
    ids = [MonitorId.new() for _ in range(3_200)]
    derived = [MonitorId(f"{each:032x}") for each in range(1, 3_201)]
    for made in (ids, derived):
        counts = Counter(map(bucket_of, made))
        assert len(counts) == BUCKETS
        assert max(counts.values()) < 2 * len(made) / BUCKETS


@given(NAMES)
def test_a_request_visits_every_bucket(request_id: str) -> None:
    """A request goes to all buckets, always in the same order."""
    assert sorted(bucket_order(request_id)) == list(range(BUCKETS))
    assert bucket_order(request_id) == bucket_order(request_id)


def test_requests_begin_anywhere() -> None:
    """No bucket is always served last."""
    firsts = {bucket_order(f"{AlertId.new()}")[0] for _ in range(500)}
    assert firsts == set(range(BUCKETS))


@pytest.mark.parametrize("namespace", ["", "a{b}", "a b", "a*", "x" * 65, "\n", "a\n", "ä"])
def test_namespaces_that_are_refused(namespace: str) -> None:
    """A namespace with a hash tag or a pattern in it is refused."""
    with pytest.raises(InvalidValueError) as caught:
        Keys(namespace)
    assert caught.value.field == "namespace"


def test_every_key_begins_with_the_namespace() -> None:
    """The namespace comes first, so that one server serves several installations."""
    keys = Keys("other:")
    made = (
        keys.lock("a"),
        keys.fence("a"),
        keys.released("a"),
        keys.claim(0, "a"),
        keys.settled(0, "a"),
        *keys.alerts(0),
        keys.failures(TenantId.new(), MonitorId.new()),
        keys.sessions("a"),
        *keys.denial("a"),
        *keys.outbox(0),
        *keys.cached(TENANT, "a", "b"),
        keys.checks(0, "a", "b"),
        *keys.scheduled(TenantId.new(), MonitorId.new()),
        *keys.schedule(0, "a"),
        keys.whole(0),
    )
    assert all(key.startswith("other:") for key in made)
    assert KEYS.lock("a") == "url-monitor:lock:{a}:lease"


@pytest.mark.parametrize("namespace", ["url-monitor:", "eu.url-monitor:", "x"])
def test_buckets_are_spread_over_a_cluster(namespace: str) -> None:
    """Of masters with equal shares of the slots, each serves about as many buckets."""
    keys = Keys(namespace)
    slots = [slot(keys.whole(bucket)) for bucket in range(BUCKETS)]
    for masters, least, most in ((2, 8, 8), (3, 5, 6), (4, 4, 4), (5, 3, 4), (6, 2, 3), (16, 1, 1)):
        shares = Counter(each * masters // 16_384 for each in slots)
        assert len(shares) == masters
        assert (min(shares.values()), max(shares.values())) == (least, most)
