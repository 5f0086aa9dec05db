"""No call that Redis serves is left out of the fault tests."""

from __future__ import annotations

import inspect
from typing import get_type_hints

from tests.fixtures.working_calls import Calls

import urlmon.ports
from urlmon.testing.contracts.stores import WorkingStores

# It asks no store; it is made of the other calls.
ELSEWHERE = {"Locks.remaining", "Locks.hold"}


def test_every_call_is_listed() -> None:
    """Every method of a port of the working state is in one of the lists, and nothing else is."""
    ports = {
        port
        for port in get_type_hints(WorkingStores).values()
        if port in vars(urlmon.ports).values()
    }
    methods = {
        f"{port.__name__}.{name}"
        for port in ports
        for name, _ in inspect.getmembers(port, inspect.isfunction)
        if not name.startswith("_")
    }
    assert {*Calls.WRITES, *Calls.FREE_WRITES, *Calls.READS, *Calls.OPEN} == methods - ELSEWHERE
