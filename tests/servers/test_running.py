"""All servers at once, and servers that the environment names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from urlmon_adapters.servers import ServerError, _redis_programs, running_servers

if TYPE_CHECKING:
    from pathlib import Path

    from urlmon_adapters.servers import InfluxEndpoint, PostgresEndpoint, RedisEndpoint


def test_lists_what_runs_and_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing server is no error: it is listed with its reason, the others run."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(_redis_programs, "find_spec", lambda _: None)
    with running_servers(tmp_path / "data", durable=False, environ={}) as servers:
        assert set(servers.running) == {"PostgreSQL"}
        assert set(servers.missing) == {"InfluxDB", "Redis"}
        assert set(servers.environment) == {"DATABASE_URL"}
        psycopg.connect(servers.environment["DATABASE_URL"]).close()
        assert servers.environment["DATABASE_URL"] not in repr(servers)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(servers.environment["DATABASE_URL"])


def test_uses_the_servers_that_the_environment_names(
    tmp_path: Path,
    postgres_server: PostgresEndpoint,
    redis_server: RedisEndpoint,
    influx_server: InfluxEndpoint,
) -> None:
    """Servers given by URL are used as they are, and nothing of ours is started."""
    environ = {
        "URLMON_TEST_DATABASE_URL": postgres_server.url,
        "URLMON_TEST_REDIS_URL": redis_server.url,
        "URLMON_TEST_INFLUXDB_URL": influx_server.url,
        "URLMON_TEST_INFLUXDB_TOKEN": influx_server.token,
        "URLMON_TEST_INFLUXDB_ORG": influx_server.org,
        "URLMON_TEST_INFLUXDB_BUCKET": influx_server.bucket,
    }
    with running_servers(tmp_path / "data", environ=environ) as servers:
        assert servers.environment == {
            name.replace("URLMON_TEST_", ""): value for name, value in environ.items()
        }
        assert servers.running["PostgreSQL"].startswith(f"{postgres_server.version} from URLMON_")
        assert servers.running["Redis"].startswith(f"{redis_server.version} from URLMON_")
        assert servers.running["InfluxDB"].startswith(f"{influx_server.version} from URLMON_")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"URLMON_TEST_DATABASE_URL": "postgresql://u:canary@127.0.0.1:1/d"}, "_DATABASE_URL"),
        ({"URLMON_TEST_DATABASE_URL": "host canary"}, "_DATABASE_URL"),
        ({"URLMON_TEST_REDIS_URL": "redis://:canary@127.0.0.1:1/0"}, "_REDIS_URL"),
        ({"URLMON_TEST_REDIS_URL": "canary"}, "_REDIS_URL"),
        ({"URLMON_TEST_INFLUXDB_URL": "http://127.0.0.1:1"}, "_INFLUXDB_TOKEN, "),
    ],
)
def test_given_server_that_does_not_answer_is_named(
    tmp_path: Path, environ: dict[str, str], named: str
) -> None:
    """The error names the variable to correct, and never repeats its value."""
    with (
        pytest.raises(ServerError, match=named) as caught,
        running_servers(tmp_path / "data", durable=False, environ=environ),
    ):
        pass
    assert "canary" not in str(caught.value)
