"""The ports over PostgreSQL, and the migrations that make its schema."""

from urlmon_adapters.postgres._database import Database, Pool, build_pool, open_pool
from urlmon_adapters.postgres._encryption import Keyring
from urlmon_adapters.postgres.alerts import PostgresAlertRepo
from urlmon_adapters.postgres.archive import PostgresCheckResultArchive
from urlmon_adapters.postgres.channels import PostgresChannelRepo
from urlmon_adapters.postgres.check_results import PostgresCheckResultStore
from urlmon_adapters.postgres.directory import PostgresMonitorDirectory
from urlmon_adapters.postgres.health import PostgresHealthCheck
from urlmon_adapters.postgres.migrations import Migrations
from urlmon_adapters.postgres.monitors import PostgresMonitorRepo
from urlmon_adapters.postgres.partitions import Partition, PartitionKeeper
from urlmon_adapters.postgres.removals import PostgresRemovals
from urlmon_adapters.postgres.rollups import RollupKeeper
from urlmon_adapters.postgres.statistics import PostgresCheckStatistics
from urlmon_adapters.postgres.tenants import PostgresTenantRepo

__all__ = [
    "Database",
    "Keyring",
    "Migrations",
    "Partition",
    "PartitionKeeper",
    "Pool",
    "PostgresAlertRepo",
    "PostgresChannelRepo",
    "PostgresCheckResultArchive",
    "PostgresCheckResultStore",
    "PostgresCheckStatistics",
    "PostgresHealthCheck",
    "PostgresMonitorDirectory",
    "PostgresMonitorRepo",
    "PostgresRemovals",
    "PostgresTenantRepo",
    "RollupKeeper",
    "build_pool",
    "open_pool",
]
