from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from urlmon_adapters.servers import InfluxServer, MissingServerError, ServerError
from urlmon_adapters.servers._http import request

if TYPE_CHECKING:
    from pathlib import Path


def _bucket_names(server: InfluxServer) -> set[str]:
    _, answer = request(server.url, "/api/v2/buckets", token=server.token)
    return {bucket["name"] for bucket in answer["buckets"]}


def test_is_set_up_and_stays_so(influx: InfluxServer) -> None:
    """The bucket exists; a stop and a start change neither address, token nor data."""
    org = request(influx.url, f"/api/v2/orgs?org={influx.org}", token=influx.token)[1]["orgs"][0]
    request(
        influx.url,
        "/api/v2/buckets",
        token=influx.token,
        body={"name": "kept", "orgID": org["id"], "retentionRules": []},
    )
    influx.stop()
    influx.start()
    assert {"check-results", "kept"} <= _bucket_names(influx)


def test_next_process_uses_the_stored_token(influx: InfluxServer) -> None:
    """A second server object on the same folder is let in by the token kept there, for us alone."""
    influx.stop()
    with InfluxServer(influx.folder) as second:
        assert second.token == influx.token
        assert "check-results" in _bucket_names(second)
    assert (influx.folder / "token").stat().st_mode & 0o777 == 0o600
    assert influx.token not in repr(second.endpoint)


def test_says_when_the_token_is_lost(influx: InfluxServer) -> None:
    """Data whose token is gone are not waited for in vain."""
    influx.stop()
    (influx.folder / "token").unlink()
    with pytest.raises(ServerError, match="token is gone"):
        influx.start()


def test_has_the_command_beside_it(influx: InfluxServer) -> None:
    """The `influx` command of the build reaches the server."""
    if influx.source != "the cache":
        pytest.skip("an influxd on the PATH need not have the command beside it")
    command = [influx.bin_dir / "influx", "ping", "--host", influx.url]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"OK\n"


def test_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without InfluxDB on the PATH or in the cache the error names the command that builds it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingServerError, match="make influxd"):
        InfluxServer(tmp_path)


def test_takes_no_other_major_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An InfluxDB 1 on the PATH is not taken for the server."""
    old = tmp_path / "influxd"
    old.write_text("#!/bin/sh\necho 'InfluxDB v1.6.7 (git: unknown)'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingServerError):
        InfluxServer(tmp_path)
