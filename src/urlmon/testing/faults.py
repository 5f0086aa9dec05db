"""Failures on demand, so that an application can test how it takes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from attrs import frozen

from urlmon.errors import UnavailableError


@frozen
class _Fault:
    operations: frozenset[str]
    lost_reply: bool


class Faults:
    """Makes the calls of the fakes that share it fail while a block runs.

    Example:
        with state.faults.fail("CheckResultStore.record"):
            ...  # record raises UnavailableError
    """

    def __init__(self) -> None:
        self._active: list[_Fault] = []

    @contextmanager
    def fail(self, *operations: str, lost_reply: bool = False) -> Iterator[None]:
        """Let calls raise `UnavailableError` while the block runs.

        Args:
            *operations: Such as `"MonitorRepo.add"`; every call where none is named.
            lost_reply: Whether the call is carried out first, as when only its reply is lost; the
                error's `maybe_applied` is this.
        """
        fault = _Fault(frozenset(operations), lost_reply)
        self._active.append(fault)
        try:
            yield
        finally:
            self._active.remove(fault)

    @asynccontextmanager
    async def call(self, operation: str) -> AsyncIterator[None]:
        """Run one call of a fake: let other tasks in, then fail it where that was asked for."""
        await asyncio.sleep(0)
        fault = next(
            (each for each in self._active if not each.operations or operation in each.operations),
            None,
        )
        if fault is not None and not fault.lost_reply:
            raise UnavailableError("memory", operation, "failed on demand")
        yield
        if fault is not None:
            raise UnavailableError("memory", operation, "failed on demand", maybe_applied=True)
