"""A server of writes that judges every line, as the real one does too rarely to test with."""

from __future__ import annotations

import gzip
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    Judge = Callable[[Sequence[bytes]], int]


class StrictServer:
    """Answers each write with the status that `judge` gives for its lines.

    Attributes:
        url: Where it listens.
        requests: The lines of each write.
        stored: The lines that it took.
    """

    def __init__(self, judge: Judge, *, partly: Callable[[bytes], bool] | None = None) -> None:
        self.url = ""
        self.requests: list[list[bytes]] = []
        self.stored: set[bytes] = set()
        self._judge = judge
        self._partly = partly

    async def answer(self, request: web.Request) -> web.Response:
        """Judge one write."""
        body = await request.read()
        if body[:2] == b"\x1f\x8b":  # which the server has not decompressed already
            body = gzip.decompress(body)
        lines = body.splitlines()
        self.requests.append(lines)
        status = self._judge(lines)
        if status == 204:
            self.stored.update(lines)
            return web.Response(status=204)
        if self._partly is not None:
            self.stored.update(filter(self._partly, lines))
        message = f"no, with \x00 and {lines[0].decode() if lines else 'nothing'}"
        return web.json_response({"code": "invalid", "message": message}, status=status)


@asynccontextmanager
async def strict(
    judge: Judge, *, partly: Callable[[bytes], bool] | None = None
) -> AsyncIterator[StrictServer]:
    """Run a server.

    Args:
        judge: Gives the status for some lines.
        partly: Which lines of a refused write are stored all the same; None for none.
    """
    server = StrictServer(judge, partly=partly)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/api/v2/write", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()
