"""Objects made without a look at their values, beside those that the domain has looked at."""

from __future__ import annotations

from itertools import repeat

import pytest
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st
from tests.result_strategies import results, supported

from urlmon.domain.check_results import CheckResult, Phases
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.unchecked import unchecked

OWNERS = [TenantId.new()], [MonitorId.new()]


@given(st.lists(results(*OWNERS, supported), max_size=5))
def test_they_are_the_same(batch: list[CheckResult]) -> None:
    columns = {
        each.name: [getattr(result, each.name) for result in batch] for each in fields(CheckResult)
    }
    made = unchecked(CheckResult, len(batch), columns)
    assert made == batch
    assert list(map(repr, made)) == list(map(repr, batch))
    assert list(map(hash, made)) == list(map(hash, batch))


def test_one_value_for_all() -> None:
    columns = dict.fromkeys((each.name for each in fields(Phases)), repeat(None))
    assert unchecked(Phases, 2, columns) == [Phases(), Phases()]


def test_none() -> None:
    assert unchecked(Phases, 0, {each.name: () for each in fields(Phases)}) == []


def test_a_field_that_is_missing() -> None:
    with pytest.raises(KeyError, match="dns_us"):
        unchecked(Phases, 1, {})
