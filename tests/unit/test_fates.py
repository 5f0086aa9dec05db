"""What becomes of the results of a batch, and which of several of one identity stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.result_strategies import MICROSECOND, results

from urlmon.domain.check_results import CheckError, CheckResult, ErrorKind, Key, key_of
from urlmon.domain.fates import (
    ALREADY_THERE,
    CLOCK_TOLERANCE,
    EXPIRED,
    FUTURE,
    LONGEST_REASON,
    NEW,
    STORED,
    Fate,
    Refusal,
    fate_at,
    judge_batch,
    outranks,
    rejected,
    settle,
    strongest,
)
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_result
from urlmon.testing.clock import NOON

TENANT = TenantId.new()
MONITORS = [MonitorId.new(), MonitorId.new()]
BOOM = CheckError(kind=ErrorKind.DNS, message="no such name")
RETENTION = timedelta(days=90)
due = st.sampled_from([NOON + n * MICROSECOND for n in range(3)])
some = st.lists(results([TENANT], MONITORS, due))


@given(
    st.timedeltas(-timedelta(days=100), timedelta(minutes=10))
    | st.sampled_from([CLOCK_TOLERANCE, CLOCK_TOLERANCE + MICROSECOND])
    | st.sampled_from([-timedelta(days=90), -timedelta(days=90) - MICROSECOND])
)
def test_a_fate_is_decided_by_the_age(age: timedelta) -> None:
    """A result is kept from 90 days ago to five minutes ahead, both included."""
    fate = fate_at(NOON + age, now=NOON, retention=timedelta(days=90))
    if age < -timedelta(days=90):
        assert fate == EXPIRED
    elif age > timedelta(minutes=5):
        assert fate == FUTURE
    else:
        assert fate == STORED
    assert fate.stored is (fate.refusal is None)


def test_only_a_failure_outranks_only_a_success() -> None:
    """Equals do not replace each other."""
    good = a_result(TENANT, MONITORS[0])
    bad = a_result(TENANT, MONITORS[0], error=BOOM)
    pairs = {
        (new.success, old.success): outranks(new, old) for new in (good, bad) for old in (good, bad)
    }
    assert [pair for pair, wins in pairs.items() if wins] == [(False, True)]


@given(some)
def test_the_strongest_of_each_identity(given_results: list[CheckResult]) -> None:
    """One of each is left: the first failure, or without any the first success."""
    expected = []
    for identity in dict.fromkeys(each.identity for each in given_results):
        alike = [each for each in given_results if each.identity == identity]
        expected.append(next((each for each in alike if not each.success), alike[0]))
    assert strongest(given_results) == tuple(expected)


@given(st.lists(results([TENANT], MONITORS, due | due.map(lambda at: at - timedelta(days=99)))))
def test_each_identity_is_new_once(given_results: list[CheckResult]) -> None:
    """Of those that are stored the first has what the store said, the others were there by then."""
    kept: dict[Key, CheckResult] = {}
    fates = [*judge_batch(given_results, kept, now=NOON, retention=RETENTION)]
    final = [*settle(given_results, fates, dict.fromkeys(kept, NEW))]
    young = [each for each in given_results if each.scheduled_at >= NOON - RETENTION]
    assert tuple(kept.values()) == strongest(young)
    assert list(kept) == [key_of(each) for each in kept.values()]
    firsts = {each.identity: number for number, each in reversed([*enumerate(given_results)])}
    for number, (result, fate) in enumerate(zip(given_results, final, strict=True)):
        if result.scheduled_at < NOON - RETENTION:
            assert fate == EXPIRED
        else:
            assert fate == (NEW if number == firsts[result.identity] else ALREADY_THERE)


def test_what_the_store_would_not_take_is_told_each_time() -> None:
    """All results of a rejected identity are rejected; without a word from the store, stored."""
    good, bad = a_result(TENANT, MONITORS[0]), a_result(TENANT, MONITORS[1])
    late = a_result(TENANT, MONITORS[0], scheduled_at=NOON - timedelta(days=99))
    batch = (bad, good, late, bad, good)
    fates = [*judge_batch(batch, {}, now=NOON, retention=RETENTION)]
    no = rejected("field type conflict")
    final = [*settle(batch, fates, {key_of(bad): no})]
    assert final == [no, STORED, EXPIRED, no, ALREADY_THERE]
    assert [each.stored for each in final] == [False, True, False, False, True]
    assert no == Fate(refusal=Refusal.REJECTED, reason="field type conflict")


def test_any_reason_can_be_told() -> None:
    """What a server says is cut, and rid of what no text may hold."""
    assert rejected("").reason == ""
    assert rejected("x" * 501).reason == "x" * LONGEST_REASON
    assert rejected("a\x00b\ud800c").reason == "ab?c"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"refusal": "expired"}, "refusal"),
        ({"known": 1}, "known"),
        ({"refusal": Refusal.FUTURE, "known": True}, "known"),
        ({"reason": "why"}, "reason"),
        ({"refusal": Refusal.EXPIRED, "reason": "why"}, "reason"),
        ({"refusal": Refusal.REJECTED, "reason": "x" * 501}, "reason"),
    ],
)
def test_a_fate_makes_sense(fields: dict[str, Any], name: str) -> None:
    """What is refused was not there before, and only what is rejected has a reason."""
    with pytest.raises(InvalidValueError) as caught:
        Fate(**fields)
    assert caught.value.field == name
