"""Every key of urlmon in Redis is built here.

The text in braces is the hash tag: what one script touches has the same, and so lies on the same
node of a Redis Cluster.  Alert state, outbox, schedule and counts are spread over buckets by the
monitor, all of a bucket under one tag; a lock has a tag of its own.  Free text is percent-encoded,
so that two names never give one key and no name can bring a tag along.
"""

from __future__ import annotations

import re
import zlib
from typing import Final
from urllib.parse import quote

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.errors import InvalidValueError

BUCKETS: Final = 16
"""Of alert state, outbox, schedule and counts; part of the stored format, being in the keys."""
_OUTBOX: Final = ("items", "claims", "due", "later", "dead", "lines")

# The slots of bare numbers lie badly: of three masters one would serve half of all buckets, of six
# two none.  With these each bucket lies in the middle of a sixteenth of the slots.
_SPREAD: Final = (124, 60, 0, 3, 143, 14, 107, 23, 58, 40, 67, 124, 42, 49, 13, 18)
_TAGS: Final = tuple(f"b{bucket:02}.{each}" for bucket, each in enumerate(_SPREAD))


class Keys:
    """The keys of one installation.

    Args:
        namespace: What every key begins with.

    Raises:
        InvalidValueError: The namespace is not 1 to 64 letters, digits, or any of `: . _ -`.
    """

    def __init__(self, namespace: str = "url-monitor:") -> None:
        # Braces would be a hash tag before ours.
        if not re.fullmatch(r"[\w:.-]{1,64}", namespace, re.ASCII):
            raise InvalidValueError("namespace", "must be 1 to 64 letters, digits, or any of :._-")
        self.namespace = namespace

    def alerts(self, bucket: int) -> tuple[str, str]:
        """The alert states of a bucket, in the order in which the scripts take them.

        Hash of states by monitor; sorted set of the monitors that something is owed to although no
        outcome comes, by when.
        """
        return f"{self._alert(bucket)}:states", f"{self._alert(bucket)}:owed"

    def whole(self, bucket: int) -> str:
        """String: "whole", or the repair that goes on.  Not there: what was in the bucket is lost.

        Scripts that must not begin from nothing take it as the last of their keys.
        """
        return f"{self._alert(bucket)}:whole"

    def outbox(self, bucket: int) -> tuple[str, ...]:
        """All keys of the outbox of a bucket, in the order in which the scripts take them.

        Hash of transitions; hash of what became of them; sorted set of those that are due, by age;
        sorted set of those that are put off or leased, by when they are due again; sorted set of
        dead letters, by when they were given up; hash of the order of each monitor's.
        """
        outbox = f"{self._alert(bucket)}:outbox"
        return tuple(f"{outbox}:{part}" for part in _OUTBOX)

    def claim(self, bucket: int, request_id: str) -> str:
        """String: what a request was given."""
        return f"{self._alert(bucket)}:outbox:request:{quote(request_id, safe='')}"

    def settled(self, bucket: int, transition_id: str) -> str:
        """String: the token that a transition was settled with."""
        return f"{self._alert(bucket)}:outbox:settled:{quote(transition_id, safe='')}"

    def schedule(self, bucket: int, location: str) -> tuple[str, str]:
        """The schedule of a bucket at a location, in the order in which the scripts take it.

        Hash of what is known of each monitor; sorted set of them all, by when they can be claimed.
        """
        schedule = self._schedule(bucket)
        return f"{schedule}:runs:{location}", f"{schedule}:queue:{location}"

    def checks(self, bucket: int, location: str, request_id: str) -> str:
        """String: what a request for checks was given."""
        return f"{self._schedule(bucket)}:request:{location}:{quote(request_id, safe='')}"

    def scheduled(self, tenant_id: TenantId, monitor_id: MonitorId) -> tuple[str, str]:
        """What is known of a monitor beyond its checks, in the order in which the scripts take it.

        String: the version of the monitor that was taken off the schedule; hash of the version and
        the locations of each monitor of its bucket.
        """
        schedule = self._schedule(bucket_of(monitor_id))
        return f"{schedule}:removed:{tenant_id}:{monitor_id}", f"{schedule}:monitors"

    def failures(self, tenant_id: TenantId, monitor_id: MonitorId) -> str:
        """String: how many checks of a monitor failed in a row."""
        bucket = bucket_of(monitor_id)
        return f"{self.namespace}counter:{{{_TAGS[bucket]}}}:failures:{tenant_id}:{monitor_id}"

    def sessions(self, user: str) -> str:
        """Hash: the sessions of a user, who is given by a digest."""
        return f"{self.namespace}session:{{{quote(user, safe='')}}}"

    def denial(self, token_id: str) -> tuple[str, str]:
        """What a token may be denied by, in the order in which the scripts take it.

        String: since when the list is complete; string: the end of the token's denial.
        """
        denied = f"{self.namespace}session:{{denied}}"
        return f"{denied}:since", f"{denied}:token:{quote(token_id, safe='')}"

    def lock(self, name: str) -> str:
        """Hash: who holds a name, and until when."""
        return f"{self.namespace}lock:{{{quote(name, safe='')}}}:lease"

    def fence(self, name: str) -> str:
        """String: the newest fence of a name."""
        return f"{self.namespace}lock:{{{quote(name, safe='')}}}:fence"

    def released(self, name: str) -> str:
        """Channel: a message whenever a name is given back."""
        return f"{self.namespace}lock:{{{quote(name, safe='')}}}:released"

    def cached(self, tenant_id: TenantId, namespace: str, key: str) -> tuple[str, str, str]:
        """A value of a cache, in the order in which the scripts take it.

        String: the generation of the namespace; hash: the value; hash: the load that goes on.
        """
        cache, name = self._cache(tenant_id, namespace), quote(key, safe="")
        generation = self.generation(tenant_id, namespace)
        return generation, f"{cache}:value:{name}", f"{cache}:load:{name}"

    def generation(self, tenant_id: TenantId, namespace: str) -> str:
        """String: what all valid values of a namespace have in common."""
        return f"{self._cache(tenant_id, namespace)}:generation"

    def _cache(self, tenant_id: TenantId, namespace: str) -> str:
        return f"{self.namespace}cache:{{{tenant_id}:{quote(namespace, safe='')}}}"

    def _alert(self, bucket: int) -> str:
        return f"{self.namespace}alert:{{{_TAGS[bucket]}}}"

    def _schedule(self, bucket: int) -> str:
        return f"{self.namespace}schedule:{{{_TAGS[bucket]}}}"


def bucket_of(monitor_id: MonitorId) -> int:
    """Return the bucket that a monitor belongs to."""
    return zlib.crc32(monitor_id.bytes) % BUCKETS


def bucket_order(request_id: str) -> list[int]:
    """Return all buckets, from one on that the request decides: none is always served last."""
    first = zlib.crc32(request_id.encode())
    return [(first + each) % BUCKETS for each in range(BUCKETS)]
