"""Sketches: counts are exact, values within 1 %, however the parts are added up."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urlmon.domain.sketches import LARGEST_COUNT, LARGEST_US, RELATIVE_ERROR, Sketch
from urlmon.domain.statistics import nearest_rank, rank_of

# Powers and their neighbours, the ends, and what lies between on any scale.
value = (
    st.integers(0, LARGEST_US)
    | st.integers(0, 300)
    | st.sampled_from([0, 1, 99, 100, 101, LARGEST_US - 1, LARGEST_US])
    | st.builds(lambda power, near: max(0, 10**power + near), st.integers(0, 9), st.integers(-2, 2))
)
values = st.lists(value, max_size=60)


def starts() -> list[int]:
    """Return the first value of each range, found by bisection from outside."""
    found, low = [0], 0
    while True:
        number = Sketch.of([low]).counts
        left, right = low, LARGEST_US + 1
        while right - left > 1:
            middle = (left + right) // 2
            left, right = (
                (middle, right) if Sketch.of([middle]).counts == number else (left, middle)
            )
        if right > LARGEST_US:
            return found
        found.append(low := right)


def test_each_value_of_each_range_is_within_the_bound() -> None:
    """The first and the last value of every range are within 1 % of what stands for it."""
    edges = starts()
    assert len(edges) < 1_000
    for first, following in pairwise([*edges, LARGEST_US + 1]):
        for exact in (first, following - 1):
            (found,) = Sketch.of([exact]).at_ranks([1])
            assert abs(found - exact) <= RELATIVE_ERROR * exact
    assert [Sketch.of([each]).at_ranks([1]) for each in range(100)] == [(n,) for n in range(100)]


@given(values.filter(bool), st.integers(1, 100))
def test_a_percentile_is_within_the_bound(given_values: list[int], percent: int) -> None:
    """The value at any rank is within 1 % of the one that is there."""
    sketch = Sketch.of(given_values)
    assert sketch.count == len(given_values)
    (found,) = sketch.at_ranks([rank_of(percent, len(given_values))])
    exact = nearest_rank(sorted(given_values), percent)
    assert abs(found - exact) <= RELATIVE_ERROR * exact


@given(st.lists(values, max_size=5))
def test_merging_is_adding_values(parts: list[list[int]]) -> None:
    """In any order and in any groups, parts give the sketch of all values."""
    whole = Sketch.of(each for part in parts for each in part)
    sketches = [Sketch.of(part) for part in parts]
    assert Sketch.merged(sketches) == whole
    assert Sketch.merged(reversed(sketches)) == whole
    assert Sketch.merged([Sketch.merged(sketches[:2]), Sketch.merged(sketches[2:])]) == whole
    assert Sketch.merged([Sketch(), whole]) == whole


@given(values)
def test_a_sketch_comes_back_from_its_bytes(given_values: list[int]) -> None:
    """Equal sketches have equal bytes, and the bytes give the sketch."""
    sketch = Sketch.of(given_values)
    packed = sketch.pack()
    assert Sketch.unpack(packed) == sketch
    assert Sketch.of(reversed(given_values)).pack() == packed
    assert packed[0] == 1


@given(st.binary(max_size=12) | st.binary(max_size=12).map(lambda rest: b"\x01" + rest))
def test_other_bytes_are_refused(packed: bytes) -> None:
    """Bytes that are so short are those of no sketch but the empty one, or of few values."""
    with pytest.raises(ValueError, match="sketch"):
        Sketch.unpack(packed)


@given(values, st.data())
def test_damaged_bytes_are_refused(given_values: list[int], data: st.DataObject) -> None:
    """The checksum finds a bit that fell over, and an end that is missing."""
    packed = bytearray(Sketch.of(given_values).pack())
    at = data.draw(st.integers(3, len(packed) - 1))
    cut = bytes(packed[:at])
    packed[at] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(packed), cut):
        try:
            found = Sketch.unpack(damaged)
        except ValueError:
            continue
        assert found == Sketch.of(given_values)  # a bit that says nothing


def test_bytes_of_ranges_that_there_are_not() -> None:
    packed = bytearray(Sketch.of_counts({968: 1}).pack())
    packed[1:3] = (60_000).to_bytes(2, "little")
    with pytest.raises(ValueError, match="cannot be"):
        Sketch.unpack(bytes(packed))


def test_a_large_count_comes_back() -> None:
    """A sketch is full with 2**32 - 1 values, as each range is."""
    sketch = Sketch.of_counts({1: LARGEST_COUNT - 1, 968: 1})
    assert Sketch.unpack(sketch.pack()) == sketch
    assert sketch.count == LARGEST_COUNT
