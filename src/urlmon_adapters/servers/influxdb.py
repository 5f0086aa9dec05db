"""A real InfluxDB 2 as a child process."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Final

from urlmon_adapters.servers._http import request
from urlmon_adapters.servers._influxd_find import find_influxd
from urlmon_adapters.servers._process import HOST, Server, new_secret, write_secret
from urlmon_adapters.servers.endpoints import InfluxEndpoint
from urlmon_adapters.servers.errors import MissingServerError, ServerError

if TYPE_CHECKING:
    from pathlib import Path

_NAME: Final = "InfluxDB"
_USER: Final = "urlmon"
_ORG: Final = "urlmon"
_BUCKET: Final = "check-results"
_RETENTION_SECONDS: Final = 90 * 24 * 60 * 60


class InfluxServer(Server):
    """An InfluxDB 2 with its own data, set up with one organization, bucket and token.

    Attributes:
        bin_dir: The folder of `influxd`, and of the `influx` command where it was built here.
        version: The full version.
        source: Where the program was found.
        org: The organization.
        bucket: The bucket, with a retention of 90 days.
    """

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        """Find the program; nothing is written or started yet.

        Args:
            folder: Where data, token and log go; made when missing, kept afterwards.
            port: The port on 127.0.0.1; a random free one by default.

        Raises:
            MissingServerError: There is no InfluxDB 2 on this machine.
        """
        super().__init__(_NAME, folder, port=port)
        program = find_influxd()
        if program is None:
            raise MissingServerError(
                _NAME, "put `influxd` 2 on the PATH, or let `make influxd` build it (6 minutes)"
            )
        self._program = program.path
        self.bin_dir = program.path.parent
        self.version = program.version
        self.source = program.source
        self.org = _ORG
        self.bucket = _BUCKET
        self._token = ""

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://{HOST}:{self.port}"

    @property
    def token(self) -> str:
        """A token that may do everything; known once the server has been started."""
        return self._token

    @property
    def endpoint(self) -> InfluxEndpoint:
        """Where the server can be reached."""
        return InfluxEndpoint(
            url=self.url,
            token=self.token,
            org=self.org,
            bucket=self.bucket,
            version=self.version,
            source=self.source,
            bin_dir=self.bin_dir,
        )

    def _prepare(self) -> None:
        secret = self.folder / "token"
        if not secret.exists():
            if (self.folder / "influxd.bolt").exists():
                reason = f"{secret} is gone, and the data cannot be read without it; remove "
                raise ServerError(self.name, f"{reason}{self.folder} to start empty")
            # Written before the server learns it, so that it cannot be lost between the two.
            write_secret(secret, new_secret())
        self._token = secret.read_text()

    def _command(self) -> list[str]:
        return [
            *(str(self._program), "run", "--reporting-disabled"),
            f"--http-bind-address={HOST}:{self.port}",
            f"--bolt-path={self.folder / 'influxd.bolt'}",
            f"--sqlite-path={self.folder / 'influxd.sqlite'}",
            f"--engine-path={self.folder / 'engine'}",
        ]

    def _answers(self) -> bool:
        try:
            if request(self.url, "/health", timeout_seconds=1)[0] != http.client.OK:
                return False
            if request(self.url, "/api/v2/setup")[1].get("allowed"):
                request(self.url, "/api/v2/setup", body=self._first_setup())
            return request(self.url, "/api/v2/orgs", token=self.token)[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def _first_setup(self) -> dict[str, object]:
        return {
            "username": _USER,
            "password": new_secret(),
            "org": self.org,
            "bucket": self.bucket,
            "token": self.token,
            "retentionPeriodSeconds": _RETENTION_SECONDS,
        }
