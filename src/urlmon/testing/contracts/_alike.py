"""Compares a store's statistics with the exact ones: percentiles may come from a sketch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from urlmon.domain.sketches import RELATIVE_ERROR
from urlmon.domain.statistics import ResponseTimes

_PERCENTILES: Final = ("p50_us", "p95_us", "p99_us")


def assert_alike(found: object, exact: object) -> None:
    """Assert that an answer is the exact one, but for percentiles that say they are not exact.

    Those are within the stated error.  Everything else is equal, the order of mappings too.
    """
    if isinstance(found, ResponseTimes) and isinstance(exact, ResponseTimes) and not found.exact:
        for name in _PERCENTILES:
            value, true = getattr(found, name), getattr(exact, name)
            assert abs(value - true) <= RELATIVE_ERROR * true, f"{name}: {value}, exactly {true}"
            assert found.min_us <= value <= found.max_us
        figures = {name: getattr(exact, name) for name in _PERCENTILES}
        assert attrs.evolve(found, exact=True, **figures) == exact
    elif type(found) is not type(exact):
        assert found == exact
    elif attrs.has(kind := type(found)):
        for name in (each.name for each in attrs.fields(kind)):
            assert_alike(getattr(found, name), getattr(exact, name))
    elif isinstance(found, Mapping) and isinstance(exact, Mapping):
        assert list(found) == list(exact)
        for key in found:
            assert_alike(found[key], exact[key])
    elif isinstance(found, tuple | list) and isinstance(exact, tuple | list):
        assert len(found) == len(exact)
        for one, other in zip(found, exact, strict=True):
            assert_alike(one, other)
    else:
        assert found == exact
