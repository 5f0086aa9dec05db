from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from urlmon.domain.secrets import Secret
from urlmon.errors import ConfigurationError
from urlmon_adapters._settings_model import known_settings
from urlmon_adapters.settings import (
    CommandSettings,
    PostgresSettings,
    RedisSettings,
    Settings,
    gather,
)

ROOT = Path(__file__).parents[2]
CANARY = "canary-4f1d8a"
KEY = "A" * 43 + "="
STORES = {
    "DATABASE_URL": f"postgresql://urlmon:{CANARY}@db.example:5432/urlmon",
    "REDIS_URL": f"redis://:{CANARY}@redis.example:6379/0",
}
INFLUX = {
    "INFLUXDB_URL": "http://influx.example:8086",
    "INFLUXDB_TOKEN": CANARY,
    "INFLUXDB_ORG": "acme",
}
SECRETS = {
    "DATABASE_URL",
    "URLMON_MIGRATION_URL",
    "INFLUXDB_TOKEN",
    "REDIS_URL",
    "URLMON_SECRET_KEY",
}


class DatabaseOnly(CommandSettings):
    postgres: PostgresSettings


def problems_of(environ: dict[str, str], kind: type[CommandSettings] = Settings) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        kind.load(environ)
    return list(caught.value.problems)


def test_defaults() -> None:
    """The two required URLs suffice, and everything else has its documented default."""
    settings = Settings.load(STORES)

    assert settings.postgres.url.reveal() == STORES["DATABASE_URL"]
    assert settings.postgres.migration_url is None
    assert (settings.postgres.pool_min, settings.postgres.pool_max) == (1, 10)
    assert settings.redis.url.reveal() == STORES["REDIS_URL"]
    assert settings.redis.namespace == "url-monitor:"
    assert settings.influxdb is None
    assert settings.spool is None
    assert (settings.migrate, settings.retention_days) == ("verify", 90)
    assert (settings.secret_keys, settings.health_timeout_seconds) == ((), 5.0)
    assert (settings.log.level, settings.log.format, settings.log.directory) == (
        "INFO",
        "auto",
        None,
    )
    assert settings.hints == ()


def test_everything_set() -> None:
    """Every setting reaches its place in the tree."""
    settings = Settings.load(
        STORES
        | INFLUX
        | {
            "INFLUXDB_BUCKET": "results",
            "URLMON_MIGRATION_URL": "postgres:///urlmon?host=/run/postgresql",
            "URLMON_POSTGRES_POOL_MIN": "3",
            "URLMON_POSTGRES_POOL_MAX": "4",
            "URLMON_REDIS_NAMESPACE": "eu.url-monitor:",
            "URLMON_SPOOL_DIR": "/var/lib/urlmon/spool",
            "URLMON_SPOOL_MAX_BYTES": "33554432",
            "URLMON_SPOOL_WHEN_FULL": "drop_oldest",
            "URLMON_SPOOL_MODE": "write_through",
            "URLMON_MIGRATE": "off",
            "URLMON_RETENTION_DAYS": "30",
            "URLMON_SECRET_KEY": f"{KEY}, {'B' * 43}=",
            "URLMON_HEALTH_TIMEOUT_SECONDS": "0.5",
            "URLMON_LOG_LEVEL": "debug",
            "URLMON_LOG_FORMAT": "json",
            "URLMON_LOG_DIR": "/var/log/urlmon",
        }
    )

    assert settings.postgres.migration_url is not None
    assert settings.postgres.migration_url.reveal().startswith("postgres:///urlmon")
    assert (settings.postgres.pool_min, settings.postgres.pool_max) == (3, 4)
    assert settings.influxdb is not None
    assert settings.influxdb.token.reveal() == CANARY
    assert (settings.influxdb.url, settings.influxdb.org, settings.influxdb.bucket) == (
        "http://influx.example:8086",
        "acme",
        "results",
    )
    assert settings.redis.namespace == "eu.url-monitor:"
    assert settings.spool is not None
    assert settings.spool.directory == Path("/var/lib/urlmon/spool")
    assert settings.spool.max_bytes == 32 << 20
    assert (settings.spool.when_full, settings.spool.mode) == ("drop_oldest", "write_through")
    assert (settings.migrate, settings.retention_days) == ("off", 30)
    assert [key.reveal()[0] for key in settings.secret_keys] == ["A", "B"]
    assert settings.health_timeout_seconds == 0.5
    assert (settings.log.level, settings.log.format) == ("DEBUG", "json")
    assert settings.log.directory == Path("/var/log/urlmon")


def test_missing_names_are_told_at_once() -> None:
    """Each missing name is one line: the name, what it is for, an example."""
    lines = problems_of({})

    assert [line.split(" ")[:3] for line in lines] == [
        ["DATABASE_URL", "is", "missing"],
        ["REDIS_URL", "is", "missing"],
    ]
    assert "where PostgreSQL is" in lines[0]
    assert "DATABASE_URL=postgresql://" in lines[0]


def test_only_what_is_asked_for_is_needed() -> None:
    """What asks for the database alone does not look at the other stores' settings."""
    environ = {
        "DATABASE_URL": STORES["DATABASE_URL"],
        "INFLUXDB_URL": "nonsense",
        "REDIS_URL_FILE": "/nowhere",
        "URLMON_RETENTION_DAYS": "many",
    }

    assert DatabaseOnly.load(environ).postgres.pool_max == 10
    assert len(problems_of(environ)) == 5
    CommandSettings.load({})


@pytest.mark.parametrize(
    ("environ", "stores"),
    [
        ({}, ("postgresql",)),
        ({"URLMON_RESULTS": "postgresql"}, ("postgresql",)),
        (INFLUX, ("influxdb",)),
        (INFLUX | {"URLMON_RESULTS": "influxdb"}, ("influxdb",)),
        (INFLUX | {"URLMON_RESULTS": "postgresql"}, ("postgresql",)),
        (INFLUX | {"URLMON_RESULTS": "both"}, ("postgresql", "influxdb")),
    ],
)
def test_where_results_go(environ: dict[str, str], stores: tuple[str, ...]) -> None:
    """Where nothing is said, to InfluxDB if there is one."""
    assert Settings.load(STORES | environ).result_stores == stores


@pytest.mark.parametrize("where", ["influxdb", "both"])
def test_results_need_their_store(where: str) -> None:
    """InfluxDB cannot be chosen without its settings."""
    (line,) = problems_of(STORES | {"URLMON_RESULTS": where})
    assert line == f"URLMON_RESULTS is {where}, and INFLUXDB_URL is not set"


@pytest.mark.parametrize("name", [*INFLUX, "INFLUXDB_BUCKET"])
def test_part_of_influxdb(name: str) -> None:
    """Some InfluxDB settings without the others are a mistake, not a choice of PostgreSQL."""
    lines = problems_of(STORES | {name: (INFLUX | {"INFLUXDB_BUCKET": "b"})[name]})

    assert {line.split(" ")[0] for line in lines} == set(INFLUX) - {name}


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("DATABASE_URL", "mysql://u:{}@h/db", "must start with postgresql:// or postgres://"),
        ("DATABASE_URL", "postgresql+psycopg://u:{}@h/db", "must start with postgresql://"),
        ("DATABASE_URL", "host=h password={}", "must start with postgresql://"),
        ("DATABASE_URL", "postgresql:{}", "must start with postgresql://"),
        ("DATABASE_URL", "postgresql://u:{}#1@h/db", "percent-encoded"),
        ("DATABASE_URL", "postgresql://u:{}@[h/db", "percent-encoded"),
        ("DATABASE_URL", "postgresql://u:{} @h/db", "percent-encoded"),
        ("URLMON_MIGRATION_URL", "http://u:{}@h/db", "must start with postgresql://"),
        ("REDIS_URL", "http://:{}@h/0", "must start with redis:// or rediss:// or unix://"),
        ("INFLUXDB_URL", "influx.example:8086", "must start with http:// or https://"),
        ("INFLUXDB_URL", "http://", "must name a host"),
        ("INFLUXDB_URL", "http://u:{}@h", "INFLUXDB_TOKEN"),
        ("INFLUXDB_TOKEN", "{}\n", "printable ASCII"),
        ("INFLUXDB_TOKEN", "x" * 5_000, "1 to 4096 characters"),
        ("URLMON_REDIS_NAMESPACE", "{{a}}:", "letters, digits"),
        ("URLMON_SECRET_KEY", "{}", "number 1 of 1 is not"),
        ("URLMON_SECRET_KEY", KEY + ",{}", "number 2 of 2 is not"),
        ("URLMON_SECRET_KEY", KEY + ",", "number 2 of 2 is not"),
        ("URLMON_RETENTION_DAYS", "0", "greater than or equal to 1"),
        ("URLMON_RETENTION_DAYS", "{}", "must be a valid integer"),
        ("URLMON_HEALTH_TIMEOUT_SECONDS", "nan", "less than or equal to 60"),
        ("URLMON_HEALTH_TIMEOUT_SECONDS", "0", "greater than 0"),
        ("URLMON_POSTGRES_POOL_MIN", "11", "URLMON_POSTGRES_POOL_MAX must not be less than"),
        ("URLMON_MIGRATE", "yes", "must be 'run', 'verify' or 'off'"),
        ("URLMON_LOG_LEVEL", "loud", "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("URLMON_LOG_FORMAT", "{}", "must be 'auto', 'console' or 'json'"),
    ],
)
def test_refused_values(name: str, value: str, wrong: str) -> None:
    """A value that cannot be used is one line that names it and never repeats it."""
    lines = problems_of(STORES | INFLUX | {name: value.format(CANARY)})

    assert len(lines) == 1
    assert lines[0].startswith(name[:-3])
    assert wrong in lines[0]
    assert CANARY not in lines[0]


def test_a_spool_holds_the_largest_batch() -> None:
    """A limit that one batch can be larger than is refused: that batch would wait for ever."""
    spool = {"URLMON_SPOOL_DIR": "/var/lib/urlmon/spool"}
    (line,) = problems_of(STORES | spool | {"URLMON_SPOOL_MAX_BYTES": str((16 << 20) - 1)})
    assert line.startswith("URLMON_SPOOL_MAX_BYTES")
    assert "greater than or equal to 16777216" in line
    least = Settings.load(STORES | spool | {"URLMON_SPOOL_MAX_BYTES": str(16 << 20)})
    assert least.spool is not None
    assert least.spool.max_bytes == 16 << 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://u:p%23%40@h1:5432,[::1]:5433,h3/db"),
        ("REDIS_URL", "rediss://h"),
        ("REDIS_URL", "unix:///run/redis.sock?db=1"),
        ("INFLUXDB_URL", "https://[::1]:8086/influx"),
    ],
)
def test_accepted_urls(name: str, value: str) -> None:
    """Several hosts, sockets, TLS and IPv6 are all fine."""
    Settings.load(STORES | INFLUX | {name: value})


def test_all_faults_together_show_no_secret() -> None:
    """One error holds missing, refused and unknown names, and no value."""
    lines = problems_of(
        {
            "DATABASE_URL": f"postgresql://u:{CANARY}#@h/db",
            "URLMON_RETENTION_DAYS": CANARY,
            "URLMON_RETENTION_DAY": CANARY,
            "INFLUXDB_TOKEN": CANARY,
        }
    )

    assert {line.split(" ")[0] for line in lines} == {
        "DATABASE_URL",
        "REDIS_URL",
        "INFLUXDB_URL",
        "INFLUXDB_ORG",
        "URLMON_RETENTION_DAYS",
        "URLMON_RETENTION_DAY",
    }
    assert CANARY not in "\n".join(lines)


def test_unknown_names() -> None:
    """A misspelt name of ours is refused with the likely one; names of the tests are let be."""
    assert problems_of(STORES | {"URLMON_RETENTION_DAY": "30"}) == [
        "URLMON_RETENTION_DAY is not a setting of urlmon: did you mean URLMON_RETENTION_DAYS?"
    ]
    assert problems_of(STORES | {"URLMON_COLOUR": "red"}) == [
        "URLMON_COLOUR is not a setting of urlmon; `urlmon config` lists them all"
    ]
    Settings.load(STORES | {"URLMON_TEST_DATABASE_URL": "anything"})


def test_near_misses() -> None:
    """A foreign name close to one that is not set gives a hint, and is no fault."""
    settings = Settings.load(STORES | {"INFLUX_URL": "http://x", "DATABASE_URI": "x", "HOME": "/"})

    assert settings.hints == ("INFLUX_URL is set, INFLUXDB_URL is not: did you mean INFLUXDB_URL?",)


def test_secret_files(tmp_path: Path) -> None:
    """Every secret can be given by file, whose last line end does not count."""
    environ = STORES | INFLUX | {"URLMON_MIGRATION_URL": "postgresql://h", "URLMON_SECRET_KEY": KEY}
    for name in SECRETS:
        (tmp_path / name).write_text(environ.pop(name) + "\n")
        environ[f"{name}_FILE"] = str(tmp_path / name)

    settings = Settings.load(environ)

    assert settings.postgres.url.reveal() == STORES["DATABASE_URL"]
    assert settings.influxdb is not None
    assert settings.influxdb.token.reveal() == CANARY
    assert settings.secret_keys[0].reveal() == KEY
    assert gather(environ).origins["REDIS_URL"] == f"the file {tmp_path / 'REDIS_URL'}"


def test_unusable_secret_files(tmp_path: Path) -> None:
    """A file that is absent, empty or binary is named, and so is a name that is set twice."""
    absent, empty, binary = tmp_path / "absent", tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe")

    lines = problems_of(
        INFLUX
        | {
            "DATABASE_URL_FILE": str(absent),
            "REDIS_URL_FILE": str(empty),
            "URLMON_SECRET_KEY_FILE": str(binary),
            "INFLUXDB_TOKEN_FILE": str(empty),
        }
    )

    assert lines == [
        f"DATABASE_URL_FILE names {absent}, which cannot be read: No such file or directory",
        "INFLUXDB_TOKEN and INFLUXDB_TOKEN_FILE are both set in the environment: keep one of them",
        f"REDIS_URL_FILE names {empty}, which is empty",
        f"URLMON_SECRET_KEY_FILE names {binary}, which cannot be read: it is not UTF-8 text",
    ]
    assert problems_of(STORES | {"URLMON_RETENTION_DAYS_FILE": str(empty)}) == [
        "URLMON_RETENTION_DAYS_FILE is not a setting of urlmon: did you mean URLMON_RETENTION_DAYS?"
    ]


def test_dotenv(tmp_path: Path) -> None:
    """The environment beats the `.env` file, by value, by file, and by an empty value."""
    dotenv, secret = tmp_path / ".env", tmp_path / "secret"
    secret.write_text("redis://from-file")
    dotenv.write_text(
        "DATABASE_URL=postgresql://dotenv/db\nREDIS_URL=redis://dotenv\n"
        "URLMON_RETENTION_DAYS=30\nURLMON_MIGRATE='run'\nUNRELATED=1\n"
    )
    environ = {
        "DATABASE_URL": "postgresql://environment/db",
        "REDIS_URL_FILE": str(secret),
        "URLMON_RETENTION_DAYS": "",
    }

    settings = Settings.load(environ, dotenv=dotenv)
    origins = gather(environ, dotenv=dotenv).origins

    assert settings.postgres.url.reveal() == "postgresql://environment/db"
    assert settings.redis.url.reveal() == "redis://from-file"
    assert (settings.retention_days, settings.migrate) == (90, "run")
    assert origins["DATABASE_URL"] == "the environment"
    assert origins["URLMON_MIGRATE"] == str(dotenv)
    assert "URLMON_RETENTION_DAYS" not in origins


def test_dotenv_faults(tmp_path: Path) -> None:
    """An unreadable `.env` file and a misspelt name in it are told; an absent one is fine."""
    dotenv = tmp_path / ".env"
    Settings.load(STORES, dotenv=dotenv)

    dotenv.write_text("URLMON_RETENTION_DAY=1\n")
    with pytest.raises(ConfigurationError, match="did you mean URLMON_RETENTION_DAYS"):
        Settings.load(STORES, dotenv=dotenv)

    dotenv.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"\.env cannot be read: it is not UTF-8 text"):
        Settings.load(STORES, dotenv=dotenv)


def test_secrets_do_not_show() -> None:
    """No way of printing the settings shows a secret."""
    settings = Settings.load(STORES | INFLUX | {"URLMON_SECRET_KEY": KEY})

    for text in (repr(settings), str(settings), f"{settings.postgres}", str(settings.model_dump())):
        assert CANARY not in text
        assert KEY not in text
    assert [secret.reveal() for secret in settings.secrets()].count(KEY) == 1
    assert len(list(settings.secrets())) == 4
    with pytest.raises(TypeError):
        pickle.dumps(settings)


def test_frozen() -> None:
    """Settings cannot be changed, nor given a field that does not exist."""
    settings = Settings.load(STORES)

    with pytest.raises(ValidationError):
        settings.retention_days = 1
    with pytest.raises(ValidationError):
        RedisSettings(url=Secret("redis://h"), namespce="x")  # type: ignore[call-arg]
    assert copy.copy(settings) == settings


def test_built_in_code() -> None:
    """Settings can be made without any environment."""
    settings = Settings(
        postgres=PostgresSettings(url=Secret("postgresql://h/db"), pool_max=3),
        redis=RedisSettings(url=Secret("redis://h")),
    )

    assert (settings.postgres.pool_max, settings.influxdb) == (3, None)


def test_every_setting_is_described() -> None:
    """Each has one name, a purpose, and a default or an example; those with secrets are marked."""
    known = known_settings(Settings)

    assert all(info.description for info in known.values())
    assert all(info.examples or not info.is_required() for info in known.values())
    assert {name for name, info in known.items() if not info.repr} == SECRETS


def test_example_file_is_complete() -> None:
    """`.env.example` names every setting, none besides, and each default as it is."""
    text = (ROOT / ".env.example").read_text()
    lines = re.findall(r"^(# )?([A-Z_]+)=(.*)$", text, re.MULTILINE)
    for_compose = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "INFLUXDB_ADMIN_PASSWORD"}
    known = known_settings(Settings)

    assert {name for _, name, _ in lines} == set(known) | for_compose
    for commented, name, value in lines:
        if commented:
            example = known[name].examples or [str(known[name].default)]
            assert (name, value) == (name, example[0])


def test_example_file_works() -> None:
    """A copy of `.env.example` is all that development needs."""
    settings = Settings.load({}, dotenv=ROOT / ".env.example")

    assert settings.influxdb is not None
    assert "for-development-only@127.0.0.1" in settings.postgres.url.reveal()
    assert len(settings.secret_keys) == 1
    assert settings.hints == ()
