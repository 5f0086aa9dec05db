"""The demo's checkers and alerters: processes of their own, of which any may be killed."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from attrs import define

HERE = Path(__file__).parent


@define
class Service:
    """A process that the demo runs.

    Attributes:
        name: What it is.
        process: The process.
        said: The newest line that it printed.
    """

    name: str
    process: asyncio.subprocess.Process
    said: str = ""

    @property
    def state(self) -> str:
        """What became of it, in words."""
        code = self.process.returncode
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return self.said.partition(": ")[2] or "starting"


def inherited() -> dict[str, str]:
    """Return our environment without settings of urlmon that would point elsewhere."""
    names = ("DATABASE_URL", "REDIS_URL", "INFLUXDB_", "URLMON_")
    return {name: value for name, value in os.environ.items() if not name.startswith(names)}


@asynccontextmanager
async def running_services(
    environment: dict[str, str], options: argparse.Namespace
) -> AsyncIterator[Sequence[Service]]:
    """Run checkers and alerters while the block runs; wait until they are ready."""
    programs = ["checker"] * options.checkers + ["alerter"] * options.alerters
    services: list[Service] = []
    async with AsyncExitStack() as stack:
        log = stack.enter_context((options.folder / "services.log").open("ab", buffering=0))
        ready = [asyncio.Event() for _ in programs]
        for number, (program, is_ready) in enumerate(zip(programs, ready, strict=True)):
            name = f"{program} {programs[: number + 1].count(program)}"
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(HERE / f"{program}.py"),
                "--with-parent",
                env={**inherited(), **environment, **_spool(options.folder, name)},
                # It stops when this pipe closes, however this process ends.
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us; we pass it on
            )
            service = Service(name, process)
            services.append(service)
            follow = asyncio.create_task(_follow(service, log, is_ready))
            stack.push_async_callback(_stop, process, follow)
        await asyncio.gather(*(each.wait() for each in ready))
        yield services


def _spool(folder: Path, name: str) -> dict[str, str]:
    """Return where a checker's results may wait: no two processes share that."""
    if not name.startswith("checker"):
        return {}
    return {"URLMON_SPOOL_DIR": str(folder / "spool" / name.replace(" ", "-"))}


async def _follow(service: Service, log: BinaryIO, ready: asyncio.Event) -> None:
    """Copy what a service prints to the log; its first line, or its end, makes it ready."""
    assert service.process.stdout is not None  # noqa: S101 - it is a pipe
    async for line in service.process.stdout:
        service.said = line.decode().strip()
        ready.set()
        log.write(line)
    await service.process.wait()
    ready.set()


async def _stop(process: asyncio.subprocess.Process, follow: asyncio.Task[None]) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 10)
    except TimeoutError:
        process.kill()
        await process.wait()
    await follow
