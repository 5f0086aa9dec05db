"""The Redis `WorkingState`."""

from __future__ import annotations

from urlmon.domain._validators import check_text
from urlmon.ports import WorkingState
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._commands import Reply
from urlmon_adapters.redis._keys import BUCKETS
from urlmon_adapters.redis._replies import decoding, fields
from urlmon_adapters.redis._scripts import load


class RedisWorkingState(WorkingState):
    """Keeps a mark in each bucket, which is lost with what is there, and only a repair sets."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def is_whole(self) -> bool:
        return not await count_lost(self._client, "WorkingState.is_whole")

    async def origin(self) -> str:
        operation = "WorkingState.origin"
        answers = await self._client.read_masters(operation, ("INFO", "server"))
        with decoding(operation):
            runs = [fields(info)["run_id"] for (info,) in answers.values()]
        return " ".join(sorted(runs))

    async def begin_repair(self, repair_id: str) -> bool:
        return any(await self._run_each("begin_repair", "repair_begin", repair_id))

    async def finish_repair(self, repair_id: str) -> bool:
        return all(await self._run_each("finish_repair", "repair_finish", repair_id))

    async def _run_each(self, method: str, name: str, repair_id: str) -> list[Reply]:
        """Run a script on the mark of every bucket."""
        check_text("repair_id", repair_id, longest=100)
        whole = self._client.keys.whole
        return await self._client.run_each(
            f"WorkingState.{method}",
            load(name),
            [(whole(bucket), repair_id) for bucket in range(BUCKETS)],
            keys=1,
        )


async def count_lost(client: RedisClient, operation: str) -> int:
    """Return how many of all buckets are not whole.

    Raises:
        StoreError: The driver's error, translated.
    """
    whole = client.keys.whole
    marks = await client.read(operation, *(("GET", whole(bucket)) for bucket in range(BUCKETS)))
    return sum(mark != b"whole" for mark in marks)
