"""What every service has: settings, logging, the container, and a stop on a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable

from urlmon import UrlmonError
from urlmon_adapters.container import PersistenceContainer, PersistencePorts, running
from urlmon_adapters.logging import configure_logging
from urlmon_adapters.settings import Settings

Tally = Counter[str]
"""What a service has done, by what it is called."""

Main = Callable[[PersistencePorts, Tally], Awaitable[None]]


def run_service(name: str, main: Main) -> None:
    """Run `main` with the real stores until SIGTERM or SIGINT; say at the end what it did.

    With `--with-parent` it also stops when its standard input ends, as it does when the process
    that started it is gone.
    """
    try:
        asyncio.run(_run(name, main))
    except UrlmonError as exc:
        sys.exit(f"{name}: {exc}")


async def _run(name: str, main: Main) -> None:
    tally, settings = Tally(), Settings.load(os.environ)
    configure_logging(settings)
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - inside of asyncio.run
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    if "--with-parent" in sys.argv:
        _stop_with_parent(loop, task)
    try:
        async with running(PersistenceContainer(settings=settings)) as stores:
            print(f"{name}: ready", flush=True)
            await main(stores, tally)
    except asyncio.CancelledError:
        done = ", ".join(f"{count} {what}" for what, count in tally.items())
        print(f"{name}: stopped after {done or 'nothing'}", flush=True)


def _stop_with_parent(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    """Cancel the task once standard input ends."""

    def watch() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(task.cancel)

    threading.Thread(target=watch, daemon=True).start()
