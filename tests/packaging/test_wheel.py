"""What users install: the wheel and the sdist, in clean environments, away from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMOKE = Path(__file__).with_name("smoke.py")
SQL = sorted(path.name for path in (ROOT / "migrations").glob("*.sql"))

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("packaging")]


def uv(*arguments: str | Path) -> str:
    """Run uv: the one on the PATH, or the project's own."""
    program = shutil.which("uv") or os.environ.get("UV") or ROOT / ".tools" / "bin" / "uv"
    return run(program, *arguments)


def run(*command: str | Path, environment: dict[str, str] | None = None, cwd: Path = ROOT) -> str:
    """Run a program and return what it printed; show everything where it fails."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("URLMON_")}
    done = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env={**kept, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module", name="built")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from it."""
    folder = tmp_path_factory.mktemp("built")
    uv("build", "--quiet", "--out-dir", folder)
    return folder


def environment(folder: Path, *requirements: str) -> Path:
    """Make an environment with some requirements and return its folder of programs."""
    uv("venv", "--quiet", "--python", sys.executable, folder)
    constraints = ("--constraint", ROOT / "requirements" / "demo.txt")
    uv("pip", "install", "--quiet", "--python", folder, *constraints, *requirements)
    return folder / "bin"


def test_the_wheel_has_the_migrations_and_the_types(built: Path) -> None:
    """A wheel made from the sdist holds every migration, script and marker."""
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert sorted(Path(name).name for name in names if name.endswith(".sql")) == SQL
    assert "urlmon_adapters/postgres/sql/manifest.txt" in names
    assert {"urlmon/py.typed", "urlmon_adapters/py.typed"} <= set(names)
    scripts = sorted(
        f"urlmon_adapters/redis/scripts/{path.name}"
        for path in (ROOT / "src/urlmon_adapters/redis/scripts").glob("*.lua")
    )
    assert scripts == sorted(name for name in names if name.endswith(".lua"))
    assert "urlmon_adapters/servers/influxd_module/go.mod" in names


@pytest.mark.parametrize("lost", [SQL[-1], "manifest.txt"])
def test_a_wheel_without_a_file_is_no_older_release(built: Path, tmp_path: Path, lost: str) -> None:
    """A package that lacks a migration, or the list of them, says so and looks at no database."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)  # noqa: S202  # our own wheel
    (tmp_path / "urlmon_adapters/postgres/sql" / lost).unlink()
    program = "import sys; from urlmon_adapters.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "migrate", "status"],
        env={"PYTHONPATH": str(tmp_path), "DATABASE_URL": "postgresql://127.0.0.1:1/x"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert f"missing: {lost}" in done.stderr or f"{lost} is missing" in done.stderr
    assert "install it again" in done.stderr


def test_the_sdist_has_what_the_wheel_is_made_of(built: Path) -> None:
    """The sdist holds the migrations at the top, where the repository has them."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"migrations/{name}" for name in (*SQL, "manifest.txt")} <= names


def test_the_core_needs_attrs_alone(built: Path, tmp_path: Path) -> None:
    """`pip install urlmon` brings attrs, and the domain, ports and fakes work with it."""
    (wheel,) = built.glob("*.whl")
    programs = environment(tmp_path / "core", str(wheel))
    listed = uv("pip", "list", "--quiet", "--format=freeze", "--python", programs.parent)
    assert sorted(line.split("==")[0].split(" ")[0] for line in listed.splitlines()) == [
        "attrs",
        "urlmon",
    ]
    run(programs / "python", "-c", "import urlmon.ports, urlmon.testing.monitors", cwd=tmp_path)


@pytest.mark.postgres
@pytest.mark.redis
def test_an_installed_wheel_migrates_and_serves(
    built: Path, tmp_path: Path, empty_postgres_url: str, redis_url: str
) -> None:
    """The installed command migrates an empty database, and the container stores and reads."""
    (wheel,) = built.glob("*.whl")
    programs = environment(tmp_path / "whole", f"{wheel}[cli]")
    settings = {"DATABASE_URL": empty_postgres_url, "REDIS_URL": redis_url}
    run(programs / "urlmon", "migrate", environment=settings, cwd=tmp_path)
    printed = run(programs / "python", SMOKE, environment=settings, cwd=tmp_path)
    assert printed.split() == ["down", "{'postgresql':", "True,", "'redis':", "True}"]
