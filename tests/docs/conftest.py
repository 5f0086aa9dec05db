"""Keys of a test's own in the shared Redis."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.working import remove_keys

from urlmon_adapters.redis import Keys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def redis_settings(redis_url: str) -> AsyncIterator[dict[str, str]]:
    """The settings of Redis, with a namespace that is emptied after the test."""
    namespace = f"test-{secrets.token_hex(8)}:"
    yield {"REDIS_URL": redis_url, "URLMON_REDIS_NAMESPACE": namespace}
    await remove_keys(redis_url, Keys(namespace))
