"""A real PostgreSQL as a child process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from urlmon_adapters.servers._account import unprivileged
from urlmon_adapters.servers._postgres_programs import find_programs, programs_for
from urlmon_adapters.servers._process import HOST, Server, environment, new_secret, write_secret
from urlmon_adapters.servers.endpoints import PostgresEndpoint
from urlmon_adapters.servers.errors import ServerError, output_summary

_USER: Final = "postgres"
# The same sort order on every machine; the second where the system lacks the first, as macOS does.
_LOCALE: Final = "C.UTF-8"
_LOCALE_ELSEWHERE: Final = "C"
# `nobody` may not reach a folder below the home of root, whatever the folder's own mode is; through
# this link it reaches the folder that it was started in.
_CWD_LINK: Final = Path("/proc/self/cwd")


class PostgresServer(Server):
    """A PostgreSQL of one major version with its own data, reached with a password.

    As root it runs as `nobody`; no account is made and no permission of other folders changed.

    Attributes:
        bin_dir: The folder of `psql`, `pg_dump` and `pg_restore` of this version.
        version: The full version, such as `"18.4"`.
        source: Where the programs were found.
    """

    def __init__(
        self, folder: Path, *, version: str = "18", durable: bool = True, port: int | None = None
    ) -> None:
        """Find the programs; nothing is written or started yet.

        Args:
            folder: Where data and log go; made when missing, kept afterwards.
            version: The major version.
            durable: Whether data survive a crash of the machine; without, tests run faster.
            port: The port on 127.0.0.1; a random free one by default.

        Raises:
            MissingServerError: This version is not on this machine.
        """
        super().__init__(f"PostgreSQL {version}", folder, port=port)
        programs = find_programs(version)
        self.bin_dir = programs.bin_dir
        self.version = programs.version
        self.source = programs.source
        self._durable = durable
        self._account = unprivileged(self.name)
        self._programs = programs_for(self._account, programs)
        if self._account.uid is not None:
            self._folder_mode = 0o711  # initdb before 16 insists on reaching its folder by name
        self._data = self.folder / "data"
        self._password = ""
        self._stop_signal = signal.SIGINT  # a fast shutdown: open sessions are ended
        self._suspended: list[int] = []

    @property
    def url(self) -> str:
        """A URL of the superuser to the database `postgres`; holds the password."""
        return f"postgresql://{_USER}:{self._password}@{HOST}:{self.port}/postgres"

    @property
    def endpoint(self) -> PostgresEndpoint:
        """Where the server can be reached."""
        return PostgresEndpoint(
            url=self.url, version=self.version, source=self.source, bin_dir=self.bin_dir
        )

    def pause(self) -> None:
        """Suspend the server with the processes that serve its open connections."""
        import psycopg  # noqa: PLC0415  # only a running server needs the driver

        with psycopg.connect(self.url, autocommit=True) as connection:
            self._signal(signal.SIGSTOP)
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            ).fetchall()
        self._suspended = [pid for (pid,) in rows]
        self._signal(signal.SIGSTOP, *self._suspended)

    def resume(self) -> None:
        """Let the suspended server go on."""
        self._signal(signal.SIGCONT, *self._suspended)

    @property
    def _cwd(self) -> Path:
        return self._data

    def _prepare(self) -> None:
        secret = self.folder / "password"
        if not self._data.is_dir():
            self._password = new_secret()
            write_secret(secret, self._password)
            self._make_data()
        self._password = secret.read_text()
        # We hold the folder's lock, so the server that wrote this file is gone.  PostgreSQL itself
        # would take any process that got the same pid since then for that server.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _make_data(self) -> None:
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        try:
            if self._account.uid is not None and self._account.gid is not None:
                os.chown(draft, self._account.uid, self._account.gid)
            self._run_initdb(draft)
            draft.rename(self._data)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _run_initdb(self, draft: Path) -> None:
        done = self._initdb(draft, _LOCALE)
        if "invalid locale" in done.stdout:
            done = self._initdb(draft, _LOCALE_ELSEWHERE)
        if done.returncode != 0:
            reason = output_summary(done.stdout)
            raise ServerError(self.name, f"initdb failed in {self.folder}: {reason}")

    def _initdb(self, draft: Path, locale: str) -> subprocess.CompletedProcess[str]:
        command = [
            *(str(self._programs / "initdb"), "-D", self._path_of(draft), f"--username={_USER}"),
            *("--pwfile=/dev/stdin", "--auth=scram-sha-256", "--encoding=UTF8"),
            *(f"--locale={locale}", *([] if self._durable else ["--no-sync"])),
        ]
        with tempfile.TemporaryFile() as password:
            password.write(self._password.encode())
            password.seek(0)
            if self._account.uid is not None:
                os.fchown(password.fileno(), self._account.uid, -1)
            return subprocess.run(  # noqa: S603  # a program we found ourselves
                command,
                cwd=draft,
                stdin=password,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                env=environment(),
                user=self._account.uid,
                group=self._account.gid,
                extra_groups=self._account.extra_groups,
            )

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
        }
        if not self._durable:
            # What is committed still survives a crash of PostgreSQL itself.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        options = [arg for key, value in settings.items() for arg in ("-c", f"{key}={value}")]
        return [str(self._programs / "postgres"), "-D", self._path_of(self._data), *options]

    def _path_of(self, data: Path) -> str:
        by_link = self._account.uid is not None and _CWD_LINK.is_dir()
        return str(_CWD_LINK if by_link else data)

    def _answers(self) -> bool:
        import psycopg  # noqa: PLC0415  # only a running server needs the driver

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
