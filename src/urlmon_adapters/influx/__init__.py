"""The ports of check results over InfluxDB 2.

Measurement `check_results`, tags `tenant_id`, `monitor_id`, `location` and `success`; the timestamp
is `scheduled_at` in microseconds.
"""

from urlmon_adapters.influx._bucket import ensure_bucket
from urlmon_adapters.influx._client import Influx
from urlmon_adapters.influx.archive import InfluxCheckResultArchive
from urlmon_adapters.influx.check_results import InfluxCheckResultStore
from urlmon_adapters.influx.health import InfluxHealthCheck
from urlmon_adapters.influx.rollups import InfluxRollupKeeper
from urlmon_adapters.influx.statistics import InfluxCheckStatistics

__all__ = [
    "Influx",
    "InfluxCheckResultArchive",
    "InfluxCheckResultStore",
    "InfluxCheckStatistics",
    "InfluxHealthCheck",
    "InfluxRollupKeeper",
    "ensure_bucket",
]
