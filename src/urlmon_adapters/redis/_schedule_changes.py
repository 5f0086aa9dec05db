"""Changes to what the schedule knows of a monitor, at all of its locations in one step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, frozen

from urlmon.domain.ids import MonitorId, TenantId
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._commands import Argument, Reply
from urlmon_adapters.redis._keys import Keys, bucket_of
from urlmon_adapters.redis._replies import decoding, text
from urlmon_adapters.redis._scripts import Script
from urlmon_adapters.redis._states import name_of


@frozen
class Change:
    """A change to a monitor, for a script that `schedule_places.lua` is a part of.

    Attributes:
        tenant_id: The owner.
        monitor_id: What is scheduled.
        arguments: Those of the script itself.
        locations: Those whose keys it is given.
    """

    tenant_id: TenantId
    monitor_id: MonitorId
    arguments: tuple[int, ...] = ()
    locations: tuple[str, ...] = ()

    def with_others(self, locations: Iterable[str]) -> Change:
        """Return the change with the keys of other locations, too."""
        return evolve(self, locations=(*self.locations, *locations))

    def call(self, keys: Keys) -> list[Argument]:
        """Return the keys and the arguments."""
        bucket = bucket_of(self.monitor_id)
        call: list[Argument] = [*keys.scheduled(self.tenant_id, self.monitor_id)]
        for location in self.locations:
            call += keys.schedule(bucket, location)
        return [*call, name_of(self.tenant_id, self.monitor_id), *self.arguments, *self.locations]


async def send_changes(
    client: RedisClient, operation: str, script: Script, changes: Sequence[Change]
) -> list[Reply]:
    """Make changes, each again with the locations that it has to know of beyond its own.

    A script cannot take a monitor off a location whose keys it was not given, and only the store
    knows where a monitor was.

    Raises:
        StoreError: The driver's error, translated.
    """
    answers: dict[int, Reply] = {}
    waiting = dict(enumerate(changes))
    while waiting:
        again: dict[int, Change] = {}
        for place, answer in (await _send(client, operation, script, waiting)).items():
            answers[place] = answer
            if isinstance(answer, list):
                with decoding(operation):
                    again[place] = waiting[place].with_others(map(text, answer))
        waiting = again
    return [answers[place] for place in range(len(changes))]


async def _send(
    client: RedisClient, operation: str, script: Script, changes: Mapping[int, Change]
) -> dict[int, Reply]:
    """Send changes, those of as many locations together; return the answers by number."""
    groups = defaultdict[int, list[int]](list)
    for place, change in changes.items():
        groups[len(change.locations)].append(place)
    answers: dict[int, Reply] = {}
    for count, places in groups.items():
        calls = [changes[place].call(client.keys) for place in places]
        replies = await client.run_each(operation, script, calls, keys=2 + 2 * count)
        answers |= zip(places, replies, strict=True)
    return answers
