"""Wait for what servers do among themselves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from urlmon_adapters.servers.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.02


def wait_until(server: str, what: str, condition: Callable[[], bool]) -> None:
    """Return once a condition holds.

    Raises:
        ServerError: It did not in a minute.
    """
    deadline = time.monotonic() + _SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise ServerError(server, f"it is not so within {_SECONDS} s that {what}")
        time.sleep(_POLL_SECONDS)
