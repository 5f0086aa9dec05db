"""The Redis `DenyList`."""

from __future__ import annotations

from datetime import datetime

from urlmon.domain._validators import check_instant
from urlmon.domain.deny_list import check_token_id, may_be_forgotten
from urlmon.ports import DenyList
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._commands import Reply
from urlmon_adapters.redis._replies import decoding, items, number
from urlmon_adapters.redis._scripts import load
from urlmon_adapters.redis._states import from_us, to_us


class RedisDenyList(DenyList):
    """Keeps each denial in a string of its own, beside a mark that is lost with them."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def deny(self, token_id: str, *, until: datetime) -> None:
        check_token_id(token_id)
        end = to_us(check_instant("until", until))
        await self._run("DenyList.deny", "deny_list_add", token_id, end)

    async def is_denied(self, token_id: str, *, issued_at: datetime) -> bool:
        check_token_id(token_id)
        issued_at = check_instant("issued_at", issued_at)
        operation = "DenyList.is_denied"
        reply = await self._run(operation, "deny_list_ask", token_id)
        with decoding(operation):
            denied, since = map(number, items(reply))
            return bool(denied) or may_be_forgotten(issued_at, complete_since=from_us(since))

    async def _run(self, operation: str, script: str, token_id: str, *arguments: int) -> Reply:
        """Run a script on the list and one token of it."""
        return await self._client.run(
            operation,
            load("clock", "deny_list", script),
            self._client.keys.denial(token_id),
            *arguments,
        )
