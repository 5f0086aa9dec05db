"""The settings of urlmon: one frozen object, built once at the edge of an application.

Each is read from the environment under one name; `urlmon config` lists them.  A class derived from
`CommandSettings` names the sections that something needs, and loading it asks for no others.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import Field, model_validator

from urlmon_adapters import _setting_types as types
from urlmon_adapters._environment import Environment, read_environment
from urlmon_adapters._settings_model import SettingsModel, build, known_settings

if TYPE_CHECKING:
    from collections.abc import Mapping


ResultStore = Literal["postgresql", "influxdb"]
"""The name of a store that check results can go to."""


class PostgresSettings(SettingsModel):
    """How PostgreSQL is reached."""

    url: types.DatabaseUrl = Field(
        repr=False,
        validation_alias="DATABASE_URL",
        description="where PostgreSQL is",
        examples=["postgresql://urlmon:PASSWORD@127.0.0.1:5432/urlmon"],
    )
    migration_url: types.DatabaseUrl | None = Field(
        default=None,
        repr=False,
        validation_alias="URLMON_MIGRATION_URL",
        description="where migrations connect instead: past a pooler, or as the schema's owner",
        examples=["postgresql://owner:PASSWORD@127.0.0.1:5432/urlmon"],
    )
    pool_min: int = Field(
        default=1,
        ge=0,
        le=1_000,
        validation_alias="URLMON_POSTGRES_POOL_MIN",
        description="connections kept open",
    )
    pool_max: int = Field(
        default=10,
        ge=1,
        le=1_000,
        validation_alias="URLMON_POSTGRES_POOL_MAX",
        description="connections opened at most",
    )

    @model_validator(mode="after")
    def _pool_bounds(self) -> Self:
        if self.pool_max < self.pool_min:
            raise ValueError(
                "URLMON_POSTGRES_POOL_MAX must not be less than URLMON_POSTGRES_POOL_MIN"
                f" ({self.pool_max} and {self.pool_min})"
            )
        return self


class InfluxSettings(SettingsModel):
    """How InfluxDB is reached."""

    url: types.InfluxUrl = Field(
        validation_alias="INFLUXDB_URL",
        description="where InfluxDB is, if check results go there",
        examples=["http://127.0.0.1:8086"],
    )
    token: types.Token = Field(
        repr=False,
        validation_alias="INFLUXDB_TOKEN",
        description="what may read and write the bucket, needed with any other INFLUXDB_ setting",
        examples=["TOKEN"],
    )
    org: str = Field(
        validation_alias="INFLUXDB_ORG",
        description="whose bucket it is, needed with any other INFLUXDB_ setting",
        examples=["urlmon"],
    )
    bucket: str = Field(
        default="check-results",
        validation_alias="INFLUXDB_BUCKET",
        description="where check results go",
    )


class RedisSettings(SettingsModel):
    """How Redis is reached."""

    url: types.RedisUrl = Field(
        repr=False,
        validation_alias="REDIS_URL",
        description="where Redis is: one server, a cluster, or the Sentinels of a master",
        examples=["redis://:PASSWORD@127.0.0.1:6379/0"],
    )
    namespace: types.Namespace = Field(
        default="url-monitor:",
        validation_alias="URLMON_REDIS_NAMESPACE",
        description="what every key begins with",
    )


class LogSettings(SettingsModel):
    """What a command or an application logs, and where to."""

    level: types.LogLevel = Field(
        default="INFO",
        validation_alias="URLMON_LOG_LEVEL",
        description="the least severe event written to standard error",
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto",
        validation_alias="URLMON_LOG_FORMAT",
        description="how events look on standard error; auto is console on a terminal, else json",
    )
    directory: Path | None = Field(
        default=None,
        validation_alias="URLMON_LOG_DIR",
        description="where combined.log and error.log are written, if anywhere",
        examples=["logs"],
    )


class SpoolSettings(SettingsModel):
    """Where check results wait for stores that are down."""

    directory: Path = Field(
        validation_alias="URLMON_SPOOL_DIR",
        description="where results wait for a store that is down, one process a folder; without it"
        " there is no result writer",
        examples=["/var/lib/urlmon/spool"],
    )
    max_bytes: int = Field(
        default=1 << 30,
        ge=16 << 20,  # so that the largest batch fits, which takes 11 MB
        le=1 << 44,
        validation_alias="URLMON_SPOOL_MAX_BYTES",
        description="the most that may wait for each store, in bytes; 16 MiB or more",
    )
    when_full: Literal["block", "drop_oldest", "refuse"] = Field(
        default="block",
        validation_alias="URLMON_SPOOL_WHEN_FULL",
        description="whether the writer then waits, drops what waited longest, or refuses more",
    )
    mode: Literal["memory_first", "write_through"] = Field(
        default="memory_first",
        validation_alias="URLMON_SPOOL_MODE",
        description="whether results go to the disk when a store does not take them within a"
        " second, or always and at once",
    )


# A field of its own, as dropping old results needs it without the other settings.
RETENTION_DAYS: Final = Field(
    default=90,
    ge=1,
    le=3_650,
    validation_alias="URLMON_RETENTION_DAYS",
    description="how long check results are kept",
)


class CommandSettings(SettingsModel):
    """What every command needs; derive from it to add sections.

    Attributes:
        log: What is logged.
        hints: One line for each name that looks like a misspelt setting; for the log.
    """

    log: LogSettings = LogSettings()
    hints: tuple[str, ...] = ()

    @classmethod
    def load(cls, environ: Mapping[str, str], *, dotenv: Path | None = None) -> Self:
        """Build the settings from the environment and, if given, a `.env` file.

        Raises:
            ConfigurationError: Something that this class asks for is missing, a value cannot be
                used, or a name that begins with `URLMON_` is no setting; tells all at once.
        """
        environment = gather(environ, cls, dotenv=dotenv)
        return build(cls, environment).model_copy(update={"hints": environment.hints})


class Settings(CommandSettings):
    """What the whole library needs.

    Attributes:
        influxdb: None if no InfluxDB setting is there.
        results: Where check results go, if that was set; `result_stores` says it in any case.
        spool: None if no spool setting is there; there is no result writer then.
    """

    postgres: PostgresSettings
    influxdb: InfluxSettings | None = None
    redis: RedisSettings
    spool: SpoolSettings | None = None
    results: Literal["influxdb", "postgresql", "both"] | None = Field(
        default=None,
        validation_alias="URLMON_RESULTS",
        description="where check results go; both: PostgreSQL is the record, and statistics come"
        " from InfluxDB; without it InfluxDB where that is set, else PostgreSQL",
        examples=["both"],
    )
    migrate: Literal["run", "verify", "off"] = Field(
        # A replica that starts must not change the schema on its own; nor run on a wrong one.
        default="verify",
        validation_alias="URLMON_MIGRATE",
        description="whether a start applies pending migrations, refuses to go on, or looks away",
    )
    retention_days: int = RETENTION_DAYS
    secret_keys: types.SecretKeys = Field(
        default=(),
        repr=False,
        validation_alias="URLMON_SECRET_KEY",
        description="encrypts the secrets of notification channels; several, separated by commas,"
        " all decrypt and the first encrypts",
        examples=["KEY"],
    )
    health_timeout_seconds: float = Field(
        default=5.0,
        gt=0,
        le=60,
        validation_alias="URLMON_HEALTH_TIMEOUT_SECONDS",
        description="how long the health check waits for each store",
    )

    @model_validator(mode="after")
    def _results_have_a_store(self) -> Self:
        if self.influxdb is None and self.results in {"influxdb", "both"}:
            raise ValueError(f"URLMON_RESULTS is {self.results}, and INFLUXDB_URL is not set")
        return self

    @property
    def result_stores(self) -> tuple[ResultStore, ...]:
        """The stores that check results go to, the record first."""
        if self.results == "both":
            return "postgresql", "influxdb"
        return (self.results or ("postgresql" if self.influxdb is None else "influxdb"),)


def gather(
    environ: Mapping[str, str],
    kind: type[CommandSettings] = Settings,
    *,
    dotenv: Path | None = None,
) -> Environment:
    """Gather the values of what `kind` reads, without judging them."""
    known = known_settings(Settings)
    return read_environment(
        environ,
        names=known_settings(kind),
        known=known,
        secret=[name for name, info in known.items() if not info.repr],
        dotenv=dotenv,
    )
