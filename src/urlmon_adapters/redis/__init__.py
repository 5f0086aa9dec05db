"""The Redis adapters: working state, which is rebuilt when it is lost."""

from urlmon_adapters.redis._client import RedisClient
from urlmon_adapters.redis._keys import Keys
from urlmon_adapters.redis._topology import build_topology
from urlmon_adapters.redis.alert_state import RedisAlertStateCache
from urlmon_adapters.redis.bare import BareClients
from urlmon_adapters.redis.cache import RedisCache
from urlmon_adapters.redis.counters import RedisFailureCounters
from urlmon_adapters.redis.deny_list import RedisDenyList
from urlmon_adapters.redis.health import RedisHealthCheck
from urlmon_adapters.redis.locks import RedisLocks
from urlmon_adapters.redis.outbox import RedisTransitionOutbox
from urlmon_adapters.redis.schedule import RedisSchedule
from urlmon_adapters.redis.sessions import RedisSessionStore
from urlmon_adapters.redis.working_state import RedisWorkingState

__all__ = [
    "BareClients",
    "Keys",
    "RedisAlertStateCache",
    "RedisCache",
    "RedisClient",
    "RedisDenyList",
    "RedisFailureCounters",
    "RedisHealthCheck",
    "RedisLocks",
    "RedisSchedule",
    "RedisSessionStore",
    "RedisTransitionOutbox",
    "RedisWorkingState",
    "build_topology",
]
