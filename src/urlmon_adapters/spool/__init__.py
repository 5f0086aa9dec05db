"""Results kept on disk while a store is down."""

from urlmon_adapters.spool.spool import FileSpool

__all__ = ["FileSpool"]
