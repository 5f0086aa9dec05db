"""Building InfluxDB, with stand-ins for the compilers: the real build takes minutes."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from urlmon_adapters.servers import MissingServerError, ServerError, build_influxd, find_influxd

if TYPE_CHECKING:
    from pathlib import Path

# Notes each build, takes a while over it, and writes a program that says its version.
_GO = """#!/bin/sh
[ "$1" = version ] && { echo "go version go1.26.8 linux/amd64"; exit 0; }
while [ "$1" != -o ]; do shift; done
echo "$3 $RUSTUP_TOOLCHAIN" >>"$URLMON_BUILDS"
sleep 0.2
printf '#!/bin/sh\\necho "InfluxDB 2.9.1 (git: none)"\\n' >"$2"
chmod +x "$2"
"""
_BROKEN_GO = """#!/bin/sh
[ "$1" = version ] && { echo "go version go1.26.8 linux/amd64"; exit 0; }
echo "flux.go:7:2: undefined: flux"
exit 1
"""


def _put(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with all tools and an empty cache; the file that lists the builds."""
    tools = tmp_path / "tools"
    _put(tools, "go", _GO)
    _put(tools, "cargo", "#!/bin/sh\necho 'cargo 1.83.0 (5ffbef321 2024-10-29)'\n")
    _put(tools, "gcc", "#!/bin/sh\n")
    _put(tools, "pkg-config", "#!/bin/sh\n")
    for name in ("sh", "sleep", "chmod"):
        (tools / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("URLMON_BUILDS", str(tmp_path / "builds"))
    monkeypatch.delenv("RUSTUP_TOOLCHAIN", raising=False)
    return tmp_path / "builds"


def _cached(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "cache" / "urlmon").iterdir()}


def test_puts_both_programs_into_the_cache_once(builds: Path, tmp_path: Path) -> None:
    """A build makes `influxd` and `influx`; the next one finds them and builds nothing."""
    said: list[str] = []
    folder = build_influxd(said.append)
    assert {path.name for path in folder.iterdir()} == {"influx", "influxd"}
    assert len(builds.read_text().splitlines()) == 3
    assert "building InfluxDB 2.9.1" in "\n".join(said)
    assert build_influxd(said.append) == folder
    assert len(builds.read_text().splitlines()) == 3
    assert _cached(tmp_path) == {"influxd-2.9.1", "influxd-2.9.1.lock"}
    found = find_influxd()
    assert found is not None
    assert (found.path, found.version, found.source) == (folder / "influxd", "2.9.1", "the cache")


def test_two_builders_build_once(builds: Path) -> None:
    """A builder that finds another one at work waits for its result."""
    command = [sys.executable, "-m", "urlmon_adapters.servers"]
    first, second = (subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2))
    said = [builder.communicate()[1] for builder in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(builds.read_text().splitlines()) == 3
    assert sum(b"another build is under way" in text for text in said) == 1


def test_failed_build_says_why_and_leaves_nothing(builds: Path, tmp_path: Path) -> None:
    """The compiler's message is in the error, and the cache is as empty as before."""
    _put(builds.parent / "tools", "go", _BROKEN_GO)
    with pytest.raises(ServerError, match=r"flux\.go:7:2: undefined: flux"):
        build_influxd(lambda _: None)
    assert _cached(tmp_path) == {"influxd-2.9.1.lock"}
    assert find_influxd() is None


def test_killed_builder_does_no_harm(builds: Path, tmp_path: Path) -> None:
    """What a killed builder left is neither used nor kept; its lock is free once it is over."""
    command = [sys.executable, "-m", "urlmon_adapters.servers"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as builder:
        while not builds.exists():
            time.sleep(0.01)
        builder.kill()
    assert find_influxd() is None
    build_influxd(lambda _: None)
    assert _cached(tmp_path) == {"influxd-2.9.1", "influxd-2.9.1.lock"}


def test_names_all_missing_tools_at_once(
    builds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old cargo counts as missing; each missing tool is named, and what installs them."""
    _put(tmp_path / "few", "cargo", "#!/bin/sh\necho 'cargo 1.66.0'\n")
    (tmp_path / "few" / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path / "few"))
    with pytest.raises(MissingServerError) as caught:
        build_influxd(lambda _: None)
    for part in ("Rust 1.83", "`gcc`", "`pkg-config`", "tools/apt-install.sh"):
        assert part in str(caught.value)
    assert not builds.exists()


def test_uses_the_installed_rust_toolchain(builds: Path) -> None:
    """Where rustup manages cargo, its active toolchain builds Flux, not one to be downloaded."""
    tools = builds.parent / "tools"
    _put(tools, "rustup", "#!/bin/sh\necho 'stable-x86_64-unknown-linux-gnu (default)'\n")
    build_influxd(lambda _: None)
    assert "stable-x86_64-unknown-linux-gnu" in builds.read_text()


@pytest.mark.parametrize(("options", "status"), [([], 1), (["--if-possible"], 0)])
def test_command_says_in_its_status_whether_it_built(
    builds: Path, options: list[str], status: int
) -> None:
    """The command fails without the server, unless it was to build it only if possible."""
    _put(builds.parent / "tools", "go", _BROKEN_GO)
    done = subprocess.run(
        [sys.executable, "-m", "urlmon_adapters.servers", *options],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == status
    assert "undefined: flux" in done.stderr
    assert "Traceback" not in done.stderr
