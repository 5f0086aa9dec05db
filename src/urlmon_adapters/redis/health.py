"""The Redis `HealthCheck`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from urlmon.domain.health import ComponentHealth, HealthStatus
from urlmon.errors import StoreError
from urlmon.ports import Clock, HealthCheck
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._errors import ONE_NODE, STORE
from urlmon_adapters.redis._keys import BUCKETS
from urlmon_adapters.redis._nodes import Kind
from urlmon_adapters.redis._replies import decoding, fields, items, number
from urlmon_adapters.redis._states import from_us
from urlmon_adapters.redis.working_state import count_lost

_OPERATION: Final = "HealthCheck.check"
_OLDEST: Final = (6, 2)
_MEMORY_SHARE: Final = 0.9
_CLOCK_TOLERANCE: Final = timedelta(seconds=1)
_ALL_SLOTS: Final = "16384"


class RedisHealthCheck(HealthCheck):
    """Looks at every master, and for the working state.

    Of a master: version, memory, eviction, persistence, clock, and replicas, by `INFO` and `TIME`,
    and `CLUSTER INFO` of a cluster.
    """

    def __init__(self, client: RedisClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    @property
    def name(self) -> str:
        return STORE

    async def check(self) -> ComponentHealth:
        started = time.monotonic()
        try:
            version, details, problems = await self._look()
            status = HealthStatus.WARN if problems else HealthStatus.PASS
        except StoreError as exc:
            version, details, problems = None, [], [exc.detail]
            status = HealthStatus.FAIL
        except Exception as exc:  # noqa: BLE001 - a fault of the check is a result as well
            problem = f"the check itself failed with {type(exc).__name__}"
            version, details, problems = None, [], [problem]
            status = HealthStatus.FAIL
        return ComponentHealth(
            name=self.name,
            status=status,
            latency_us=int((time.monotonic() - started) * 1_000_000),
            version=version,
            details=tuple(details),
            problems=tuple(problems),
        )

    async def _look(self) -> tuple[str, list[tuple[str, str]], list[str]]:
        """Return the version, the details and the problems."""
        before = self._clock.now()
        answers = await self._client.read_masters(_OPERATION, ("TIME",), ("INFO",))
        after = self._clock.now()
        kind = self._client.kind
        if kind is Kind.CLUSTER:
            await self._refuse_gaps()
        details, problems, versions = [_topology(kind, [*answers])], list[str](), set[str]()
        for name, (time_reply, info_reply) in answers.items():
            with decoding(_OPERATION):
                info = fields(info_reply)
                versions.add(info["redis_version"])
                seconds, microseconds = map(number, items(time_reply))
                server_time = from_us(seconds * 1_000_000 + microseconds)
                _refuse(info, kind)
                findings = [
                    _version(info),
                    _memory(info),
                    _eviction(info),
                    _persistence(info),
                    _clock(server_time, before, after),
                ]
                if kind is not Kind.SERVER:
                    findings.append(_replicas(info))
            several = len(answers) > 1
            for detail, problem in findings:
                if detail is not None:
                    details.append((f"{detail[0]} of {name}" if several else detail[0], detail[1]))
                if problem is not None:
                    problems.append(f"{name}: {problem}" if several else problem)
        lost = await count_lost(self._client, _OPERATION)
        details.append(("working state", f"{BUCKETS - lost} of {BUCKETS} buckets"))
        if lost:
            problems.append(
                f"the working state is lost, or was never made, in {lost} of {BUCKETS} buckets:"
                " checks and alerts wait until a running service has rebuilt it from PostgreSQL"
            )
        return ", ".join(sorted(versions)), details, problems

    async def _refuse_gaps(self) -> None:
        """Refuse a cluster in which some keys have no master."""
        answers = await self._client.read_masters(_OPERATION, ("CLUSTER", "INFO"))
        for (reply,) in answers.values():
            state = fields(reply)
            if (state["cluster_state"], state["cluster_slots_ok"]) != ("ok", _ALL_SLOTS):
                detail = "the cluster does not serve all keys: see `CLUSTER INFO` and its logs"
                raise StoreError(STORE, _OPERATION, detail)


def _topology(kind: Kind, masters: Sequence[str]) -> tuple[str, str]:
    if kind is Kind.CLUSTER:
        return "topology", f"cluster of {len(masters)} masters"
    return "topology", "one server" if kind is Kind.SERVER else f"Sentinels, master {masters[0]}"


def _refuse(info: Mapping[str, str], kind: Kind) -> None:
    """Refuse a server that does not serve in this topology."""
    if info["role"] != "master":
        raise StoreError(STORE, _OPERATION, "the server is a replica: name the master")
    if kind is not Kind.CLUSTER and info["cluster_enabled"] != "0":
        raise StoreError(STORE, _OPERATION, ONE_NODE)


# Each finding is a fact for people, and what is wrong with it, where there is one and the other.
_Finding = tuple[tuple[str, str] | None, str | None]


def _version(info: Mapping[str, str]) -> _Finding:
    old = tuple(map(int, info["redis_version"].split(".")[:2])) < _OLDEST
    return None, "the version is too old: urlmon needs 6.2 or later" if old else None


def _memory(info: Mapping[str, str]) -> _Finding:
    used, most = int(info["used_memory"]), int(info["maxmemory"])
    limit = f"of {info['maxmemory_human']}" if most else "without a limit"
    full = most and used >= most * _MEMORY_SHARE
    problem = "the memory is nearly used up: raise maxmemory, or remove other data"
    return ("memory", f"{info['used_memory_human']} {limit}"), problem if full else None


def _eviction(info: Mapping[str, str]) -> _Finding:
    policy = info["maxmemory_policy"]
    problem = "keys can vanish when memory runs out: set maxmemory-policy to noeviction"
    return ("eviction", policy), problem if policy != "noeviction" else None


def _persistence(info: Mapping[str, str]) -> _Finding:
    kind = "append-only file" if info["aof_enabled"] == "1" else "no append-only file"
    failed = {info["rdb_last_bgsave_status"], info["aof_last_write_status"]} != {"ok"}
    problem = "the last save failed: see the server's log and its disk"
    return ("persistence", kind), problem if failed else None


def _replicas(info: Mapping[str, str]) -> _Finding:
    count = info["connected_slaves"]
    problem = "no replica follows: nobody would take over, and its data are kept once"
    return ("replicas", count), problem if count == "0" else None


def _clock(server_time: datetime, before: datetime, after: datetime) -> _Finding:
    # It was asked at some moment between: what lies there may be right.
    offset = min(server_time - before, timedelta(0)) + max(server_time - after, timedelta(0))
    seconds = offset.total_seconds()
    problem = f"the server's clock is {seconds:+.1f} s off ours: synchronize both"
    wrong = abs(offset) > _CLOCK_TOLERANCE
    return ("clock offset", f"{seconds:+.3f} s"), problem if wrong else None
