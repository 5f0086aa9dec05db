"""How many checks a request takes from each bucket: the longest due of all are shared out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from heapq import merge
from itertools import islice
from typing import Final

from urlmon.errors import STATE_LOST, UnavailableError
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._commands import Reply
from urlmon_adapters.redis._errors import STORE
from urlmon_adapters.redis._replies import decoding, items, number, pairs, text

_MICROSECOND: Final = timedelta(microseconds=1)


async def share_out(
    client: RedisClient, operation: str, buckets: Sequence[Sequence[str]], limit: int
) -> Counter[int] | None:
    """Return how many to take from each bucket; None for a request that was served before.

    Changes nothing, and says what was due a moment ago: the script that takes it looks again.

    Args:
        client: Asks the server.
        operation: The port's method.
        buckets: Of each the keys that `schedule_claim.lua` takes.
        limit: How many to take from all of them together.

    Raises:
        UnavailableError: A bucket was lost.
        StoreError: The driver's error, translated.
    """
    found: dict[int, list[int]] = {}
    takes = Counter[int]()
    # Buckets are even: most have no more to give than twice their share.
    looks = dict.fromkeys(range(len(buckets)), limit // 8 + 4)
    while looks:
        replies = await client.read(
            operation,
            ("TIME",),
            *(look for place, count in looks.items() for look in _look(buckets[place], count)),
        )
        with decoding(operation):
            now = _now(replies.pop(0)) + client.time.offset // _MICROSECOND
            for place, (marks, due) in zip(looks, pairs(replies), strict=True):
                mark, request = items(marks)
                if mark != b"whole":
                    raise UnavailableError(STORE, operation, STATE_LOST)
                if request is not None and now < int(text(request).split(" ")[0]):
                    return None
                # Newer servers write some scores with an exponent.
                since = [int(float(text(score))) for _, score in pairs(items(due))]
                found[place] = [each for each in since if each <= now]
        due_first = merge(*([(each, place) for each in since] for place, since in found.items()))
        takes = Counter(place for _, place in islice(due_first, limit))
        # One that is to give all that it showed may have more that is as late.
        looks = {
            place: limit
            for place, count in looks.items()
            if count < limit and takes[place] == count
        }
    return takes


def _look(bucket: Sequence[str], count: int) -> tuple[tuple[str, ...], tuple[str | int, ...]]:
    """Return what asks a bucket for its mark and the request, and since when so many are due.

    Plain commands, because a script takes the server twice as long.
    """
    request, _, queue, whole = bucket
    return ("MGET", whole, request), ("ZRANGE", queue, 0, count - 1, "WITHSCORES")


def _now(clock: Reply) -> int:
    """Read an answer to TIME, in microseconds."""
    seconds, microseconds = map(number, items(clock))
    return seconds * 1_000_000 + microseconds
