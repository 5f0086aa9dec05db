"""Runs a call again that the server, or the way to it, failed: the one layer that does so."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Final, ParamSpec, TypeVar

from urlmon.errors import UnavailableError
from urlmon_adapters.postgres._errors import repeats_after

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")

_PAUSE_SECONDS: Final = 0.02


def repeatable(cls: type[C]) -> type[C]:
    """Let an adapter run its calls again after a fault that is over at once, such as a deadlock.

    Only for an adapter each of whose methods is one transaction that may be repeated, as the ports
    say of every call, and none of which calls another.
    """
    for name, method in list(vars(cls).items()):
        if not name.startswith("_") and iscoroutinefunction(method):
            setattr(cls, name, _repeated(method))
    return cls


def _repeated(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        repeats, maybe_applied = 0, False
        while True:
            try:
                return await method(*args, **kwargs)
            except UnavailableError as exc:
                # What an earlier run may have done, it may have done for the whole call.
                maybe_applied = exc.maybe_applied = exc.maybe_applied or maybe_applied
                if repeats >= repeats_after(exc):
                    raise
            repeats += 1
            # Calls that were in each other's way come back one after the other.
            await asyncio.sleep(_PAUSE_SECONDS * 2**repeats * random.random())  # noqa: S311

    return call
