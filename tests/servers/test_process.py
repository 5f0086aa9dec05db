"""What holds for every kind of server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from urlmon_adapters.servers import PostgresServer, ServerError, _process

if TYPE_CHECKING:
    from collections.abc import Callable

    from urlmon_adapters.servers import InfluxServer, RedisServer

    MakeServer = Callable[[Path], PostgresServer | RedisServer | InfluxServer]

# Starts a server of the class and folder in its arguments, says its pids, waits to be killed.
_PARENT = """
import json, sys, time
from pathlib import Path
import psycopg
from urlmon_adapters import servers

server = getattr(servers, sys.argv[1])(Path(sys.argv[2]))
server.start()
pids = [server.pid]
if isinstance(server, servers.PostgresServer):
    connection = psycopg.connect(server.url)
    pids += [row[0] for row in connection.execute("SELECT pid FROM pg_stat_activity")]
if "pause" in sys.argv:
    server.pause()
print(json.dumps(pids), flush=True)
time.sleep(60)
"""


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _wait_until_gone(pids: list[int]) -> list[int]:
    """Return those that are still there after a while."""
    deadline = time.monotonic() + 30
    while (left := [pid for pid in pids if not _gone(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.mark.parametrize("paused", [[], ["pause"]], ids=["running", "paused"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_ends_with_its_parent(
    make_server: MakeServer, tmp_path: Path, number: int, paused: list[str]
) -> None:
    """A parent that is killed leaves no process behind, and its data can be used at once."""
    folder = tmp_path / "server"
    server = make_server(folder)
    command = [sys.executable, "-c", _PARENT, type(server).__name__, str(folder), *paused]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = json.loads(parent.stdout.readline())
        assert not any(map(_gone, pids))
        parent.send_signal(number)
    assert _wait_until_gone(pids) == []
    server.start()
    server.stop()


def test_stop_leaves_no_process(make_server: MakeServer, tmp_path: Path) -> None:
    """Stopping ends the server, suspended or not; stopping twice does no harm."""
    server = make_server(tmp_path / "server")
    server.start()
    pid = server.pid
    assert pid is not None
    server.pause()
    server.stop()
    assert _wait_until_gone([pid]) == []
    server.stop()
    assert server.pid is None


def test_kill_is_followed_by_a_start(make_server: MakeServer, tmp_path: Path) -> None:
    """A server comes back at its address after having been killed while suspended."""
    with make_server(tmp_path / "server") as server:
        url = server.url
        server.pause()
        server.kill()
        server.start()
        assert server.url == url


def test_folder_serves_one_process_at_a_time(
    make_server: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second server on the folder is refused while the first one runs."""
    monkeypatch.setattr(_process, "_LOCK_SECONDS", 0.2)
    with (
        make_server(tmp_path / "server"),
        pytest.raises(ServerError, match="in use by another process"),
    ):
        make_server(tmp_path / "server").start()


def test_port_in_use_is_named(make_server: MakeServer, tmp_path: Path) -> None:
    """A port that the caller insists on and that is taken is named in the error."""
    kind = type(make_server(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"port {port} on 127.0.0.1 is in use"):
            kind(tmp_path / "server", port=port).start()


def test_takes_another_port_when_beaten_to_it(
    make_server: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random port that someone else takes before the server does is replaced by another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        free_port = _process._free_port
        found = iter([port])
        monkeypatch.setattr(
            _process, "_free_port", lambda ports: next(found, None) or free_port(ports)
        )
        with make_server(tmp_path / "server") as server:
            assert server.port != port


def test_file_in_place_of_the_folder_is_named(make_server: MakeServer, tmp_path: Path) -> None:
    """A folder that cannot be made gives one line with its path and what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerError, match="a file is in the way") as caught:
        make_server(tmp_path / "file" / "server").start()
    assert str(tmp_path / "file") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_closed_folder_is_named(make_server: MakeServer, tmp_path: Path) -> None:
    """A folder that must not be written gives one line with its path and what to do."""
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(ServerError, match="Permission denied; choose a folder"):
        make_server(tmp_path / "closed" / "server").start()


def test_shows_the_last_words_of_a_server_that_ends(tmp_path: Path) -> None:
    """A server that gives up says why in the error, and may be started again once mended."""
    server = PostgresServer(tmp_path / "pg", durable=False)
    with server:
        pass
    settings = tmp_path / "pg/data/postgresql.conf"
    good = settings.read_text()
    settings.write_text("no_such_setting = 1\n")
    with pytest.raises(ServerError, match=r"ended at its start.*\n.*no_such_setting"):
        server.start()
    settings.write_text(good)
    with server:
        psycopg.connect(server.url).close()


def test_takes_no_settings_from_the_environment(
    make_server: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables meant for clients and other servers of the same kind change nothing."""
    for name in ("PGDATA", "PGPORT", "INFLUXD_BOLT_PATH", "INFLUXD_CONFIG_PATH"):
        monkeypatch.setenv(name, "/nowhere")
    with make_server(tmp_path / "server") as server:
        assert server.pid is not None


def test_cannot_be_started_twice(make_server: MakeServer, tmp_path: Path) -> None:
    """Starting a running server and suspending a stopped one are refused."""
    with make_server(tmp_path / "server") as server:
        with pytest.raises(ServerError, match="is running already"):
            server.start()
        server.kill()
        with pytest.raises(ServerError, match="does not run"):
            server.resume()
