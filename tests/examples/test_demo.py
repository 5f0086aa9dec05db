"""The demo, run as a user runs it: its output, its second run, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
PAGES = ("healthy", "slow", "flapping", "down", "bad-certificate")

Start = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(name="mark")
def _mark() -> str:
    """Return what every process of this test's demo has in its environment."""
    return uuid4().hex


@pytest.fixture(name="start")
def _start(tmp_path: Path, mark: str) -> Iterator[Start]:
    """Start demos with servers of their own; end them with the test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("URLMON_")}
    with ExitStack() as stack:

        def start(*options: str) -> subprocess.Popen[str]:
            demo = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(DEMO), "--folder", str(tmp_path), *options],
                    env={**kept, "DEMO_MARK": mark},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,
                )
            )
            stack.callback(demo.kill)
            return demo

        yield start


def processes(mark: str) -> list[int]:
    """Return the processes that have the mark in their environment."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def await_no_process(mark: str) -> None:
    """Wait until all of them are gone."""
    deadline = time.monotonic() + 30
    while left := processes(mark):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.1)


def await_services(mark: str, folder: Path) -> None:
    """Wait until checker and alerter have said that they are ready."""
    log = folder / "services.log"
    deadline = time.monotonic() + 90
    while not log.exists() or not all(
        f"{name}: ready" in log.read_text() for name in ("checker", "alerter")
    ):
        assert processes(mark), "the demo ended early"
        assert time.monotonic() < deadline, "the services did not start"
        time.sleep(0.1)


def count_of_all_runs(output: str) -> int:
    """Read how many results there are from the demo's last lines."""
    (line,) = [line for line in output.splitlines() if line.startswith("All runs: ")]
    return int(line.split()[2])


def test_the_demo_does_the_main_job_and_goes_on_with_its_data(mark: str, start: Start) -> None:
    """It checks, alerts and sums up; the second run has the results of the first."""
    first = start("--seconds", "8")
    output, _ = first.communicate()
    assert first.returncode == 0, output
    for page in PAGES:
        assert f"  {page} " in output
    assert "HTTP status 503" in output
    assert "on-call" in output
    assert count_of_all_runs(output) >= 20
    await_no_process(mark)

    second = start("--seconds", "1")
    again, _ = second.communicate()
    assert second.returncode == 0, again
    assert count_of_all_runs(again) > count_of_all_runs(output)
    await_no_process(mark)


def test_an_interrupt_ends_the_demo_in_good_order(tmp_path: Path, mark: str, start: Start) -> None:
    """After Ctrl-C it sums up, and leaves no process behind."""
    demo = start("--seconds", "100")
    await_services(mark, tmp_path)
    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate()
    assert demo.returncode == 0, output
    assert "This run" in output
    await_no_process(mark)


def test_a_killed_demo_leaves_no_orphan(tmp_path: Path, mark: str, start: Start) -> None:
    """Servers and services end when the demo is killed."""
    demo = start("--seconds", "100")
    await_services(mark, tmp_path)
    assert len(processes(mark)) >= 5
    demo.kill()
    demo.communicate()
    await_no_process(mark)
