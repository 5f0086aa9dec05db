"""The Redis `TransitionOutbox`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Self

from attrs import frozen

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.pages import check_many, check_page_size
from urlmon.domain.transitions import ClaimedTransition, DeadLetter, check_claim, check_delay
from urlmon.errors import LeaseLostError
from urlmon.ports import TransitionOutbox
from urlmon_adapters.redis._by_monitor import read_by_monitor
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._commands import Reply
from urlmon_adapters.redis._errors import STORE
from urlmon_adapters.redis._keys import BUCKETS, bucket_of, bucket_order
from urlmon_adapters.redis._replies import decoding, items, number, text
from urlmon_adapters.redis._scripts import load
from urlmon_adapters.redis._states import decode_transition, from_us

_CLAIM: Final = ("clock", "outbox", "alert", "alert_tell", "alert_owed", "outbox_claim")
_MICROSECOND: Final = timedelta(microseconds=1)


class RedisTransitionOutbox(TransitionOutbox):
    """Hands over what `RedisAlertStateCache` made, bucket by bucket."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def claim(
        self, *, request_id: str, limit: int = 10, lease: timedelta = timedelta(seconds=30)
    ) -> tuple[ClaimedTransition, ...]:
        check_claim(request_id, limit, lease)
        operation, keys, script = "TransitionOutbox.claim", self._client.keys, load(*_CLAIM)
        token, lease_us = secrets.token_hex(16), lease // _MICROSECOND
        buckets = [
            (*keys.outbox(bucket), *keys.alerts(bucket), keys.claim(bucket, request_id))
            for bucket in bucket_order(request_id)
        ]
        # All at once: what the request was given before, and where something is due.
        looks = await self._client.run_each(
            operation,
            script,
            [(*bucket, token, limit, 0, lease_us) for bucket in buckets],
            keys=len(buckets[0]),
        )
        with decoding(operation):
            grants = [_Grant.read(look) for look in looks]
        limit = max(grant.limit for grant in grants) or limit
        left = limit - sum(grant.given for grant in grants)
        for number_of, bucket in enumerate(buckets):
            if left and not grants[number_of].limit:
                reply = await self._client.run(
                    operation, script, bucket, token, limit, left, lease_us
                )
                with decoding(operation):
                    grants[number_of] = _Grant.read(reply)
                left -= grants[number_of].given
        return tuple(claimed for grant in grants for claimed in grant.claimed)

    async def settle(self, claimed: ClaimedTransition) -> None:
        transition_id = claimed.transition.id
        bucket = bucket_of(claimed.transition.monitor_id)
        settlement = self._client.keys.settled(bucket, transition_id)
        await self._end("settle", claimed, (settlement,))

    async def release(self, claimed: ClaimedTransition, *, delay: timedelta) -> None:
        await self._end("release", claimed, (), check_delay(delay) // _MICROSECOND)

    async def backlog(self) -> int:
        operation = "TransitionOutbox.backlog"
        replies = await self._run_each(operation, "outbox_count")
        with decoding(operation):
            return sum(map(number, replies))

    async def on_the_way(
        self, tenant_id: TenantId, monitor_ids: Sequence[MonitorId]
    ) -> frozenset[MonitorId]:
        check_many("monitor_ids", monitor_ids)
        lines = await read_by_monitor(
            self._client,
            "TransitionOutbox.on_the_way",
            lambda bucket: self._client.keys.outbox(bucket)[-1],
            tenant_id=tenant_id,
            monitor_ids=monitor_ids,
        )
        return frozenset(each for each, line in lines.items() if line is not None)

    async def dead_letters(self, *, limit: int = 100) -> tuple[DeadLetter, ...]:
        check_page_size(limit)
        operation = "TransitionOutbox.dead_letters"
        replies = await self._run_each(operation, "outbox_dead", limit)
        with decoding(operation):
            letters = [each for reply in replies for each in _dead_letters(items(reply))]
        letters.sort(key=lambda each: (each.at, each.transition.id), reverse=True)
        return tuple(letters[:limit])

    async def _end(
        self, what: str, claimed: ClaimedTransition, keys: Sequence[str], *arguments: int
    ) -> None:
        """End a claim by a script that says whether it still may.

        Raises:
            LeaseLostError: It no longer may.
        """
        operation, name = f"TransitionOutbox.{what}", claimed.transition.id
        bucket = bucket_of(claimed.transition.monitor_id)
        reply = await self._client.run(
            operation,
            load("clock", "outbox", f"outbox_{what}"),
            (*self._client.keys.outbox(bucket), *keys),
            name,
            claimed.token,
            *arguments,
        )
        if not reply:
            raise LeaseLostError(STORE, operation, name=name)

    async def _run_each(self, operation: str, name: str, *arguments: int) -> list[Reply]:
        """Run a script on every bucket."""
        script = load("clock", "outbox", name)
        buckets = [self._client.keys.outbox(bucket) for bucket in range(BUCKETS)]
        return await self._client.run_each(
            operation,
            script,
            [(*bucket, *arguments) for bucket in buckets],
            keys=len(buckets[0]),
        )


@frozen
class _Grant:
    """What a bucket gave to a request.

    Attributes:
        limit: The request's limit; 0 where something is due that it has not asked for.
        given: How many it was given.
        claimed: What it still has of them.
    """

    limit: int
    given: int
    claimed: list[ClaimedTransition]

    @classmethod
    def read(cls, reply: Reply) -> Self:
        """Read the answer of the script."""
        limit, *rest = items(reply)
        if not limit:
            return cls(0, 0, [])
        given, *rows = rest
        return cls(number(limit), number(given), _claimed(rows))


def _claimed(rows: Sequence[Reply]) -> list[ClaimedTransition]:
    """Read transition, token, attempt and end of the lease, in turn."""
    return [
        ClaimedTransition(
            transition=decode_transition(text(transition)),
            token=text(token),
            attempt=number(attempt),
            leased_until=from_us(number(until)),
        )
        for transition, token, attempt, until in zip(*[iter(rows)] * 4, strict=True)
    ]


def _dead_letters(rows: Sequence[Reply]) -> list[DeadLetter]:
    """Read the dead letters of a bucket: transition, attempts and when, in turn."""
    return [
        DeadLetter(
            transition=decode_transition(text(transition)),
            attempts=number(attempts),
            at=from_us(number(at)),
        )
        for transition, attempts, at in zip(*[iter(rows)] * 3, strict=True)
    ]
