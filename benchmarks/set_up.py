"""Measure what a user waits for: imports, the command's help, the size of an installation.

Run it on an idle machine: .venv/bin/python benchmarks/set_up.py
It prints the rows of the table in docs/reference/performance.md.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNS = 21
DRIVERS = {
    "psycopg",
    "redis",
    "influxdb_client",
    "dependency_injector",
    "pydantic",
    "typer",
    "rich",
}


def milliseconds(command: list[str]) -> float:
    """Return the median wall time of a command."""
    times: list[float] = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def import_milliseconds(module: str) -> float:
    """Return the median time that importing a module takes inside of a fresh interpreter."""
    program = (
        "import time; s = time.perf_counter(); "
        f"import {module}; print((time.perf_counter() - s) * 1000)"
    )
    return statistics.median(
        float(
            subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout
        )
        for _ in range(RUNS)
    )


def drivers_loaded_by(module: str) -> set[str]:
    """Return which drivers an import brings along."""
    program = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return DRIVERS & set(done.stdout.split())


def installed_packages(extra: str) -> int:
    """Install the project into a new environment and count its packages, without urlmon itself."""
    uv = shutil.which("uv") or os.environ.get("UV") or str(ROOT / ".tools" / "bin" / "uv")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
        subprocess.run(
            [uv, "pip", "install", "-q", "--python", folder, f"{ROOT}{extra}"], check=True
        )
        listed = subprocess.run(
            [uv, "pip", "list", "-q", "--format=freeze", "--python", folder],
            check=True,
            capture_output=True,
            text=True,
        )
    return len(listed.stdout.splitlines()) - 1


def main() -> None:
    """Print the machine and the figures."""
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}"
    )
    print(f"| bare interpreter | {milliseconds([sys.executable, '-c', '']):.0f} ms |")
    for module in (
        "urlmon",
        "urlmon.ports",
        "urlmon.testing.monitors",
        "urlmon_adapters.container",
    ):
        loaded = ", ".join(sorted(drivers_loaded_by(module))) or "no driver"
        print(f"| `import {module}` | {import_milliseconds(module):.1f} ms, {loaded} |")
    command = str(Path(sys.executable).with_name("urlmon"))
    print(f"| `urlmon --help` | {milliseconds([command, '--help']):.0f} ms |")
    for extra in ("", "[adapters]", "[cli]"):
        print(f"| packages besides urlmon for `urlmon{extra}` | {installed_packages(extra)} |")


if __name__ == "__main__":
    main()
