"""A server as a child process: start, stop, kill, suspend; never left behind.

What PostgreSQL, Redis and InfluxDB share.  Every server listens on 127.0.0.1 alone, asks for a
random password or token, and has a folder of its own, which one process at a time may use.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from urlmon_adapters.servers._account import OURSELVES
from urlmon_adapters.servers.errors import ServerError, folder_errors, output_summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

HOST: Final = "127.0.0.1"
_GUARD: Final = Path(__file__).with_name("_guard.py")
_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 15
_LOCK_SECONDS: Final = 10
_POLL_SECONDS: Final = 0.05
# Below the ports that systems hand out for outgoing connections: a client that retries while its
# server is down can then neither take the server's port nor connect to itself.
_PORTS: Final = range(20_000, 32_000)
_PORT_TRIES: Final = 5


class _PortTakenError(ServerError):
    """Another process listens where the server wanted to."""


class Server(ABC):
    """One server that belongs to this process and ends with it, however this process ends.

    As a context manager it is started and stopped.  `start` after `stop` or `kill` uses the same
    port and the same data.  Not safe to use from several threads at once.

    Attributes:
        name: What it is, such as `"PostgreSQL 18"`.
        folder: Its data, its log and its secrets.
    """

    _ports = _PORTS

    def __init__(self, name: str, folder: Path, *, port: int | None) -> None:
        self.name = name
        self.folder = folder.absolute()
        self._wanted_port = port
        self._port = port
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._stop_signal = signal.SIGTERM
        self._account = OURSELVES
        self._folder_mode = 0o700
        self._log_start = 0

    @abstractmethod
    def _prepare(self) -> None:
        """Make the data folder and the configuration, before every start."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the program and its arguments."""

    @abstractmethod
    def _answers(self) -> bool:
        """Say whether the server, and it is ours, serves clients by now."""

    @property
    def _cwd(self) -> Path:
        return self.folder

    @property
    def port(self) -> int:
        """The port on 127.0.0.1; known once the server has been started."""
        if self._port is None:
            raise ServerError(self.name, "has not been started yet, so that it has no port")
        return self._port

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            ServerError: It is running already, its folder or its port cannot be used, or it ended
                or stayed silent; nothing is left running.
        """
        if self._guard is not None:
            raise ServerError(self.name, "is running already")
        with folder_errors(self.name, self.folder):
            self.folder.mkdir(mode=self._folder_mode, parents=True, exist_ok=True)
            with self._sole_use() as lock:
                self._prepare()
                self._start_on_free_port(lock)

    def stop(self) -> None:
        """Stop the server in good order, suspended or not; does nothing when it does not run."""
        self._end(0)

    def kill(self) -> None:
        """End the server at once with SIGKILL, as a crash would; `start` brings it back."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Suspend the server: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended server go on."""
        self._signal(signal.SIGCONT)

    def _start_on_free_port(self, lock: int) -> None:
        for attempt in range(1, _PORT_TRIES + 1):
            if self._port is None:
                self._port = _free_port(self._ports)
            try:
                self._spawn(lock)
                self._await_answer()
            except BaseException as exc:
                self.kill()
                if not isinstance(exc, _PortTakenError) or attempt == _PORT_TRIES:
                    raise
                if self._wanted_port is not None:
                    raise
                self._port = None
            else:
                # From now on restarts are on this port: clients know it.
                self._wanted_port = self._port
                return

    def _spawn(self, lock: int) -> None:
        spec = {
            "command": self._command(),
            "cwd": str(self._cwd),
            "user": self._account.uid,
            "group": self._account.gid,
            "extra_groups": self._account.extra_groups,
            "fds": [lock],
            "stop_signal": int(self._stop_signal),
            "stop_seconds": _STOP_SECONDS,
        }
        with self._open_log() as log:
            self._log_start = log.tell()
            self._guard = subprocess.Popen(  # noqa: S603  # our own program, without a shell
                [sys.executable, "-I", "-S", str(_GUARD), json.dumps(spec)],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(),
                pass_fds=[lock],
                start_new_session=True,  # Ctrl-C in a terminal is for the caller alone
            )
        assert self._guard.stdout is not None  # noqa: S101  # it is a pipe
        said = self._guard.stdout.readline()
        self._pid = int(said) if said else None

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._guard is None or self._guard.poll() is not None:
                raise self._failure("ended at its start")
            if time.monotonic() > deadline:
                raise self._failure(f"did not answer within {_START_SECONDS} s")
            time.sleep(_POLL_SECONDS)

    def _failure(self, what: str) -> ServerError:
        with self._open_log() as log:
            log.seek(self._log_start)
            output = log.read().decode(errors="replace")
        if "address already in use" in output.lower():
            reason = f"port {self._port} on {HOST} is in use; stop what uses it, or choose another"
            return _PortTakenError(self.name, reason)
        return ServerError(self.name, f"{what} ({self.folder}): {output_summary(output)}")

    def _open_log(self) -> IO[bytes]:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        log = os.fdopen(os.open(self.folder / "server.log", flags, 0o600), "a+b")
        log.seek(0, os.SEEK_END)
        return log

    def _end(self, number: int) -> None:
        guard, self._guard, self._pid = self._guard, None, None
        if guard is None:
            return
        with guard:  # closes the pipes and waits
            _tell(guard, number)

    def _signal(self, number: int, *helpers: int) -> None:
        if self._guard is None or self._guard.poll() is not None:
            raise ServerError(self.name, "does not run")
        _tell(self._guard, number, *helpers)
        assert self._guard.stdout is not None  # noqa: S101  # it is a pipe
        self._guard.stdout.readline()  # it has been sent, or there is nobody left to send it to

    @contextlib.contextmanager
    def _sole_use(self) -> Iterator[int]:
        """Hold the folder's lock; the server inherits it and so keeps it to its last process."""
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + _LOCK_SECONDS
            while not _locked(lock):
                if time.monotonic() > deadline:
                    reason = f"{self.folder} is in use by another process; stop it first"
                    raise ServerError(self.name, reason)
                time.sleep(_POLL_SECONDS)
            yield lock
        finally:
            os.close(lock)


def write_secret(file: Path, content: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(content.encode())


def new_secret() -> str:
    """Return a random password or token that is safe in a URL."""
    return secrets.token_hex(24)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tell(guard: subprocess.Popen[bytes], *numbers: int) -> None:
    assert guard.stdin is not None  # noqa: S101  # it is a pipe
    with contextlib.suppress(BrokenPipeError):  # the server has ended, and its guard with it
        guard.stdin.write(f"{' '.join(map(str, numbers))}\n".encode())


def environment() -> dict[str, str]:
    """Our environment without what would configure a server behind our back."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "INFLUX"))}
    return kept | {"LC_ALL": "C"}


def _free_port(ports: range) -> int:
    while True:
        port = secrets.choice(ports)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
