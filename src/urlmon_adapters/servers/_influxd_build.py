"""Build InfluxDB 2 from its Go module into this user's cache."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Final

from urlmon_adapters.servers._influxd_find import INFLUXD_VERSION, cached_folder
from urlmon_adapters.servers._influxd_tools import find_tools, install_go, module_folder
from urlmon_adapters.servers.errors import ServerError, folder_errors, output_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_NAME: Final = f"InfluxDB {INFLUXD_VERSION}"
_HEARTBEAT_SECONDS: Final = 30
# Flux is a Rust library: cgo asks for it through this stand-in for pkg-config, which builds it.
_PKG_CONFIG: Final = "github.com/influxdata/pkg-config"
_PROGRAMS: Final = {
    "influxd": "github.com/influxdata/influxdb/v2/cmd/influxd",
    "influx": "github.com/influxdata/influx-cli/v2/cmd/influx",
}


def build_influxd(progress: Callable[[str], None]) -> Path:
    """Build `influxd` and `influx` unless they are in the cache; return their folder.

    One builder works at a time, others wait for it.  What is in the cache is whole: a build that
    fails or is killed leaves nothing that would be taken for the server.

    Args:
        progress: Gets a line of text now and then.

    Raises:
        MissingServerError: Tools are missing; names all of them.
        ServerError: The build failed; says why.
    """
    target = cached_folder()
    if target.is_dir():
        return target
    tools = find_tools(_build_environment())
    with folder_errors(_NAME, target.parent), _one_builder(target, progress) as lock:
        if target.is_dir():
            return target
        draft = target.with_name(f"{target.name}.partial")
        shutil.rmtree(draft, ignore_errors=True)  # of a builder that was killed
        try:
            (draft / "bin").mkdir(parents=True)
            environ = _build_environment()
            if tools.rust_toolchain is not None:
                environ["RUSTUP_TOOLCHAIN"] = tools.rust_toolchain
            progress(f"building {_NAME} once for this user: about 6 minutes on 2 cores")
            if tools.go is None:
                progress("installing Go")
            go = tools.go or install_go(draft / "go")
            _Compiler(go, environ, draft, lock, progress).compile_all()
            (draft / "bin").rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    progress(f"{_NAME} is in {target}")
    return target


class _Compiler:
    """Runs the compiler for one program after the other."""

    def __init__(
        self,
        go: str,
        environ: dict[str, str],
        draft: Path,
        lock: int,
        progress: Callable[[str], None],
    ) -> None:
        self._go = go
        self._environ = environ
        self._draft = draft
        self._lock = lock
        self._progress = progress

    def compile_all(self) -> None:
        pkg_config = self._draft / "pkg-config"
        self._compile(_PKG_CONFIG, pkg_config)
        self._environ["PKG_CONFIG"] = str(pkg_config)
        for program, package in _PROGRAMS.items():
            self._progress(f"building {program}")
            self._compile(package, self._draft / "bin" / program)

    def _compile(self, package: str, output: Path) -> None:
        flags = ["-mod=readonly", "-ldflags", f"-s -w -X main.version={INFLUXD_VERSION}"]
        command = [self._go, "build", "-v", *flags, "-o", str(output), package]
        started = time.monotonic()
        with (self._draft / "build.log").open("w+") as log:
            child = subprocess.Popen(  # noqa: S603  # the compiler we found
                command,
                cwd=module_folder(),
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[self._lock],  # should we be killed, the next builder waits for its end
            )
            with child, _killed_on_error(child):
                while not _ended_within(child, _HEARTBEAT_SECONDS):
                    self._progress(f"building {output.name}: {time.monotonic() - started:.0f} s")
            log.seek(0)
            if child.returncode != 0:
                reason = output_summary(log.read(), lines=15)
                raise ServerError(_NAME, f"building {output.name} failed: {reason}")


def _build_environment() -> dict[str, str]:
    return os.environ | {"GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "1"}


def _ended_within(child: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


@contextlib.contextmanager
def _killed_on_error(child: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        child.kill()
        raise


@contextlib.contextmanager
def _one_builder(target: Path, progress: Callable[[str], None]) -> Iterator[int]:
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(target.with_name(f"{target.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another build is under way; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)
