"""Results kept on disk while a store is down."""

from urlmon_adapters.spool.health import SpoolHealthCheck
from urlmon_adapters.spool.spool import FileSpool

__all__ = ["FileSpool", "SpoolHealthCheck"]
