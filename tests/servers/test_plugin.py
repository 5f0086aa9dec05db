"""The fixtures that give tests their servers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    RunPytest = Callable[..., subprocess.CompletedProcess[str]]

_TESTS = """
def test_with_influx(influx_server): pass
def test_with_postgres(postgres_server): pass
def test_without(): pass
"""


@pytest.fixture
def run_pytest(tmp_path: Path) -> RunPytest:
    """Run the three tests above on a machine without InfluxDB."""
    (tmp_path / "test_inner.py").write_text(_TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  influx\n  postgres\n")
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environ |= {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "CI": ""}
    environ["PYTHONPATH"] = str(Path(__file__).parents[2])

    def run(*options: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "tests.fixtures.servers", "-ra"),
                *options,
            ],
            cwd=tmp_path,
            env=environ | more,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("workers", ["0", "1"])
def test_missing_server_is_skipped_by_name(run_pytest: RunPytest, workers: str) -> None:
    """Tests that need it are skipped, counted and explained; the summary line stays the last."""
    done = run_pytest("-n", workers)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout
    assert any(line.startswith("influxdb: NOT TESTED (1 skipped): ") for line in lines)
    assert any(line.startswith("postgresql 18: ") and " from " in line for line in lines)
    assert "2 passed, 1 skipped" in lines[-1]


def test_missing_server_fails_in_ci(run_pytest: RunPytest) -> None:
    """Where `CI` is set, a test without its server is an error."""
    done = run_pytest(CI="true")
    assert done.returncode == 1
    assert "CI must have every server: InfluxDB" in done.stdout
    assert "2 passed, 1 error" in done.stdout.splitlines()[-1]


def test_tests_are_marked_by_their_servers(run_pytest: RunPytest) -> None:
    """`-m` selects by the servers that a test's fixtures use."""
    done = run_pytest("-m", "not influx and not postgres")
    assert done.returncode == 0
    assert "1 passed, 2 deselected" in done.stdout.splitlines()[-1]
    assert "= servers =" not in done.stdout
