"""Fixtures shared by all tests, one plugin module a technology."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Before anything imports a contract: a failed assert in it then shows its values.
pytest.register_assert_rewrite("urlmon.testing.contracts")

# A slow machine is no failure; pytest's own timeout ends what hangs.
settings.register_profile("urlmon", deadline=None)
settings.load_profile("urlmon")

pytest_plugins = [
    "tests.fixtures.campaign",
    "tests.fixtures.servers",
    "tests.fixtures.influx",
    "tests.fixtures.rolled_up",
    "tests.fixtures.postgres",
    "tests.fixtures.recording",
    "tests.fixtures.relational",
    "tests.fixtures.working",
]
