"""The Redis adapters: working state, which is rebuilt when it is lost."""

from urlmon_adapters.redis._client import RedisClient, build_pool
from urlmon_adapters.redis._keys import Keys
from urlmon_adapters.redis.alert_state import RedisAlertStateCache
from urlmon_adapters.redis.health import RedisHealthCheck
from urlmon_adapters.redis.locks import RedisLocks
from urlmon_adapters.redis.outbox import RedisTransitionOutbox

__all__ = [
    "Keys",
    "RedisAlertStateCache",
    "RedisClient",
    "RedisHealthCheck",
    "RedisLocks",
    "RedisTransitionOutbox",
    "build_pool",
]
