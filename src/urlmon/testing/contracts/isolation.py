"""What every tenant-scoped method must hold, in a form that each contract can ask for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast
from uuid import UUID

import pytest

from urlmon.domain.ids import TenantId
from urlmon.errors import InvalidValueError, StoreError, UrlmonError


def nil_tenant() -> TenantId:
    """Return the nil UUID in the guise of a `TenantId`, as an untyped caller could pass it."""
    return cast("TenantId", UUID(int=0))


async def refusal_of(call: Awaitable[object]) -> UrlmonError:
    """Return the error that a call must raise."""
    with pytest.raises(UrlmonError) as caught:
        await call
    return caught.value


async def assert_nil_refused(*calls: Callable[[TenantId], Awaitable[object]]) -> None:
    """Assert that each call refuses the nil tenant, and by that name."""
    for call in calls:
        error = await refusal_of(call(nil_tenant()))
        assert isinstance(error, InvalidValueError)
        assert error.field == "tenant_id"


def assert_same_refusal(
    foreign: UrlmonError, unknown: UrlmonError, *, keys: tuple[object, object]
) -> None:
    """Assert that what is refused as a stranger's is refused like what does not exist.

    Args:
        foreign: The refusal for a row that another tenant has.
        unknown: The refusal for a row that nobody has.
        keys: The key of the first and of the second, which is all that may differ.
    """

    def facts(error: UrlmonError, key: object) -> tuple[object, ...]:
        texts = (str(error), *(f"{name}={value}" for name, value in sorted(vars(error).items())))
        return type(error), tuple(text.replace(str(key), "…") for text in texts)

    assert isinstance(unknown, StoreError)
    assert facts(foreign, keys[0]) == facts(unknown, keys[1])
