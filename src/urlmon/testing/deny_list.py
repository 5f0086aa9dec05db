"""The in-memory `DenyList`."""

from __future__ import annotations

from datetime import datetime

from urlmon.domain._validators import check_instant
from urlmon.domain.deny_list import check_token_id, may_be_forgotten
from urlmon.ports import DenyList
from urlmon.testing.state import InMemoryState


class InMemoryDenyList(DenyList):
    """Keeps ids and ends in a dictionary; it is complete since it was first used."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def deny(self, token_id: str, *, until: datetime) -> None:
        check_token_id(token_id)
        until = check_instant("until", until)
        async with self._state.faults.call("DenyList.deny"):
            self._complete_since()
            known = self._state.denied.get(token_id, until)
            self._state.denied[token_id] = max(known, until)

    async def is_denied(self, token_id: str, *, issued_at: datetime) -> bool:
        check_token_id(token_id)
        issued_at = check_instant("issued_at", issued_at)
        async with self._state.faults.call("DenyList.is_denied"):
            complete_since = self._complete_since()
            until = self._state.denied.get(token_id)
            if until is not None and self._state.clock.now() < until:
                return True
            return may_be_forgotten(issued_at, complete_since=complete_since)

    def _complete_since(self) -> datetime:
        if self._state.denied_since is None:
            self._state.denied_since = self._state.clock.now()
        return self._state.denied_since
