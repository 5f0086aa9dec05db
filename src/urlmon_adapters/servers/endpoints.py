"""Where a running server can be reached, and where it came from."""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen


@frozen(kw_only=True)
class PostgresEndpoint:
    """A PostgreSQL server.

    Attributes:
        url: A connection URL of a superuser to the database `postgres`; holds the password.
        version: The full version, such as `"18.4"`.
        source: Where the server was taken from.
        bin_dir: The folder of `psql`, `pg_dump` and `pg_restore` of this version, where known.
    """

    url: str = field(repr=False)
    version: str
    source: str
    bin_dir: Path | None

    def environment(self) -> dict[str, str]:
        """The settings of urlmon that name this server."""
        return {"DATABASE_URL": self.url}


@frozen(kw_only=True)
class RedisEndpoint:
    """A Redis or Valkey server.

    Attributes:
        url: A connection URL; holds the password.
        version: The full version.
        source: Where the server was taken from.
    """

    url: str = field(repr=False)
    version: str
    source: str

    def environment(self) -> dict[str, str]:
        """The settings of urlmon that name this server."""
        return {"REDIS_URL": self.url}


@frozen(kw_only=True)
class InfluxEndpoint:
    """An InfluxDB 2 server.

    Attributes:
        url: The address without the token.
        token: A token that may do everything in the organization.
        org: The organization.
        bucket: The bucket for check results.
        version: The full version.
        source: Where the server was taken from.
        bin_dir: The folder of the `influx` command, where known.
    """

    url: str
    token: str = field(repr=False)
    org: str
    bucket: str
    version: str
    source: str
    bin_dir: Path | None

    def environment(self) -> dict[str, str]:
        """The settings of urlmon that name this server."""
        return {
            "INFLUXDB_URL": self.url,
            "INFLUXDB_TOKEN": self.token,
            "INFLUXDB_ORG": self.org,
            "INFLUXDB_BUCKET": self.bucket,
        }
