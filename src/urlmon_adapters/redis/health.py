"""The Redis `HealthCheck`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from urlmon.domain.health import ComponentHealth, HealthStatus
from urlmon.errors import StoreError
from urlmon.ports import Clock, HealthCheck
from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._errors import STORE
from urlmon_adapters.redis._replies import decoding, items, number, text
from urlmon_adapters.redis._states import from_us

_OPERATION: Final = "HealthCheck.check"
_OLDEST: Final = (6, 2)
_MEMORY_SHARE: Final = 0.9
_CLOCK_TOLERANCE: Final = timedelta(seconds=1)


class RedisHealthCheck(HealthCheck):
    """Looks at version, memory, eviction, persistence and clock, by `INFO` and `TIME` only."""

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
        info_reply, time_reply = await self._client.read(_OPERATION, ("INFO",), ("TIME",))
        after = self._clock.now()
        with decoding(_OPERATION):
            info = dict(line.split(":", 1) for line in text(info_reply).splitlines() if ":" in line)
            seconds, microseconds = map(number, items(time_reply))
            server_time = from_us(seconds * 1_000_000 + microseconds)
            if info["role"] != "master":
                raise StoreError(STORE, _OPERATION, "the server is a replica: name the master")
            findings = (
                _version(info),
                _memory(info),
                _eviction(info),
                _persistence(info),
                _clock(server_time - (before + (after - before) / 2)),
            )
        details = [detail for detail, _ in findings if detail is not None]
        problems = [problem for _, problem in findings if problem is not None]
        return info["redis_version"], details, problems


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


def _clock(offset: timedelta) -> _Finding:
    seconds = offset.total_seconds()
    problem = f"the server's clock is {seconds:+.1f} s off ours: synchronize both"
    wrong = abs(offset) > _CLOCK_TOLERANCE
    return ("clock offset", f"{seconds:+.3f} s"), problem if wrong else None
