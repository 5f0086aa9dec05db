"""Servers that fail in ways a real one does too rarely to test with."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from urllib.parse import SplitResult

_HEAD_END = b"\r\n\r\n"


def answer(status: int, body: bytes = b"{}", *headers: str, length: int | None = None) -> bytes:
    """Return an answer of HTTP, which may promise more bytes than it has."""
    promised = len(body) if length is None else length
    head = "\r\n".join(
        [
            f"HTTP/1.1 {status} Said So",
            "Content-Type: application/json",
            f"Content-Length: {promised}",
            "Connection: close",
            *headers,
        ]
    )
    return head.encode() + _HEAD_END + body


def rows(**result: object) -> bytes:
    """Return the body of an answer to a query."""
    return json.dumps({"results": [{"statement_id": 0, **result}]}).encode() + b"\n"


@asynccontextmanager
async def answering(*answers: bytes | None) -> AsyncIterator[str]:
    """Give each request the next answer, and the last one ever after; None is silence.

    Yields:
        The server's address.
    """
    left = list(answers)
    quiet = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await _read_request(reader)
            said = left.pop(0) if len(left) > 1 else left[0]
            if said is None:
                await quiet.wait()
            else:
                writer.write(said)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        quiet.set()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def rewriting(address: SplitResult, rewrite: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """Pass everything on to a real server, and change what it says.

    Yields:
        The address to use instead.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def pump(
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        change: Callable[[bytes], bytes],
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 20):
                writer.write(change(data))
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(address.hostname, address.port)
        tasks.add(asyncio.create_task(pump(there, writer, rewrite)))
        await pump(reader, back, bytes)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*tasks)


async def _read_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(_HEAD_END)
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            await reader.readexactly(int(value))
