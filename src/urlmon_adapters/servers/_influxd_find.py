"""Find an InfluxDB 2: on the PATH, else where `build_influxd` puts it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from attrs import frozen

from urlmon_adapters.servers.errors import ServerError

INFLUXD_VERSION: Final = "2.9.1"


@frozen
class InfluxProgram:
    """The program `influxd`, its full version and where it is from."""

    path: Path
    version: str
    source: str


def find_influxd() -> InfluxProgram | None:
    """Return the `influxd` of an InfluxDB 2; None when there is none on this machine."""
    on_path = shutil.which("influxd")
    candidates = [] if on_path is None else [(Path(on_path), "the PATH")]
    candidates.append((cached_folder() / "influxd", "the cache"))
    for path, source in candidates:
        version = _version(path)
        if version is not None and version.startswith("2."):
            return InfluxProgram(path, version, source)
    return None


def cached_folder() -> Path:
    """Return where this user's built `influxd` and `influx` are, or would be."""
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not root.is_absolute():  # unset counts as relative; a relative one is to be ignored
        try:
            root = Path.home() / ".cache"
        except RuntimeError as exc:
            reason = "no cache to look for it in: set HOME or XDG_CACHE_HOME"
            raise ServerError("InfluxDB", reason) from exc
    return root / "urlmon" / f"influxd-{INFLUXD_VERSION}"


def _version(influxd: Path) -> str | None:
    try:
        said = subprocess.run(  # noqa: S603  # a program we found ourselves
            [influxd, "version"], capture_output=True, check=True, text=True, timeout=30
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"InfluxDB v?(\d\S*)", said)
    return found and found.group(1)
