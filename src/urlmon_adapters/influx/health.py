"""The InfluxDB `HealthCheck`."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from urlmon.domain.health import ComponentHealth, HealthStatus
from urlmon.errors import StoreError
from urlmon.ports import HealthCheck
from urlmon_adapters.influx._bucket import MARGIN, Bucket, find_bucket, read_mark
from urlmon_adapters.influx._client import Influx
from urlmon_adapters.influx._errors import STORE, refused

_OPERATION: Final = "HealthCheck.check"
_OLDEST: Final = (2, 7)
_NEWER: Final = (3,)


class InfluxHealthCheck(HealthCheck):
    """Looks at version, token, bucket and its retention; writes nothing."""

    def __init__(self, influx: Influx, *, retention: timedelta) -> None:
        """Keep what it needs.

        Args:
            influx: The bucket.
            retention: How long results are kept.
        """
        self._influx = influx
        self._retention = retention

    @property
    def name(self) -> str:
        return STORE

    async def check(self) -> ComponentHealth:
        started = time.monotonic()
        version: str | None = None
        details: tuple[tuple[str, str], ...] = ()
        try:
            version = await self._influx.version(_OPERATION)
            bucket = await self._look()
            details = (("bucket", self._influx.bucket), ("retention", _days(bucket.retention)))
            problems = [*_version(version), *self._problems(bucket)]
            status = HealthStatus.WARN if problems else HealthStatus.PASS
        except StoreError as exc:
            status, problems = HealthStatus.FAIL, [exc.detail]
        except Exception as exc:  # noqa: BLE001 - a fault of the check is a result as well
            problems = [f"the check itself failed with {type(exc).__name__}"]
            status = HealthStatus.FAIL
        return ComponentHealth(
            name=self.name,
            status=status,
            latency_us=int((time.monotonic() - started) * 1_000_000),
            version=version,
            details=details,
            problems=tuple(problems),
        )

    async def _look(self) -> Bucket:
        """Return the bucket, after making sure that the token may use it."""
        bucket = await find_bucket(self._influx, _OPERATION)
        if bucket is None:
            raise refused(404, _OPERATION, writing=False)
        # The server asks for the right to write before it finds that there is nothing to write.
        await self._influx.write(_OPERATION, [])
        await read_mark(self._influx, _OPERATION)
        return bucket

    def _problems(self, bucket: Bucket) -> list[str]:
        kept, wanted = bucket.retention, self._retention + MARGIN
        if kept == wanted:
            return []
        found = f"the bucket keeps points for {_days(kept)} and should for {_days(wanted)}"
        return [f"{found}, a day more than results are kept: let urlmon set its retention"]


def _version(version: str) -> list[str]:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if _OLDEST <= numbers < _NEWER:
        return []
    return [f"urlmon needs InfluxDB 2.7 or later of the 2.x series: this is {version}"]


def _days(duration: timedelta | None) -> str:
    return "ever" if duration is None else f"{duration / timedelta(days=1):g} days"
