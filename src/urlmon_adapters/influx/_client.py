"""The one way to InfluxDB: points in, rows out."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import (
    AsyncIterator,
    Callable,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from attrs import frozen

from urlmon.domain.secrets import Secret
from urlmon.errors import CorruptDataError, StoreError, UnavailableError
from urlmon_adapters.influx._errors import STORE, refused
from urlmon_adapters.influx._http import GOOD, Answer, Http, Request

Params = Mapping[str, str | int]
# Rows of a part of an answer, and bytes of some parts: decoding them holds the event loop for some
# milliseconds.
_ROWS_AT_ONCE: Final = 500
_BYTES_AT_ONCE: Final = 30_000
# Several times as fast as the default level, for bodies that are a fifth larger.
_FAST: Final = 1
_GZIP: Final = 16 + zlib.MAX_WBITS
_TEXT: Final = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
_FORM: Final = {
    "Content-Type": "application/x-www-form-urlencoded",
    # Compressing an answer takes the server longer than it saves on the way.
    "Accept-Encoding": "identity",
}
_JSON: Final = {"Content-Type": "application/json"}
_MISSING: Final = HTTPStatus.NOT_FOUND
_ALWAYS: Final = {"start": "1970-01-01T00:00:00Z", "stop": "2262-01-01T00:00:00Z"}


@frozen
class Rows:
    """Some rows of an answer that share their tags.

    Attributes:
        tags: What the query groups by.
        columns: The names of the cells, `time` first.
        values: The cells of each row.
    """

    tags: Mapping[str, str]
    columns: Sequence[str]
    values: Sequence[Sequence[Any]]


@contextmanager
def corrupt(operation: str) -> Iterator[None]:
    """Say of a value that cannot be decoded that it is not what urlmon writes."""
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError) as exc:
        detail = f"the bucket holds what urlmon does not write ({type(exc).__name__})"
        raise CorruptDataError(STORE, operation, detail) from exc


class Influx:
    """A bucket of an InfluxDB 2 server.

    Nothing happens until `open`, which has to be called in the event loop that will use it.  Safe
    to share by tasks.

    Attributes:
        org: The organization.
        bucket: The bucket's name.
    """

    def __init__(
        self,
        url: str,
        token: Secret,
        *,
        org: str,
        bucket: str,
        timeout_seconds: float = 10,
        connections: int = 8,
    ) -> None:
        """Remember where the bucket is.

        Args:
            url: The server's address.
            token: What may read and write the bucket.
            org: The organization, which has to be the token's own.
            bucket: The bucket's name.
            timeout_seconds: How long a connection, and then each part of an answer, may take.
            connections: How many requests are made at the same time at most.
        """
        self.org = org
        self.bucket = bucket
        self._http = Http(url, token, timeout_seconds=timeout_seconds, connections=connections)
        # InfluxQL knows a bucket as a database with a retention policy, by this rule.
        self._database, _, policy = bucket.partition("/")
        self._policy = policy or "autogen"

    async def open(self) -> None:
        """Make the client; no connection yet.  Does nothing when it is open."""
        await self._http.open()

    async def close(self) -> None:
        """Close the connections.  Does nothing when it is closed."""
        await self._http.close()

    async def write(
        self, operation: str, lines: Iterable[bytes], *, accepts: Container[int] = GOOD
    ) -> Answer:
        """Write lines of the line protocol, with timestamps in microseconds.

        Args:
            operation: The port's method.
            lines: Parts that each take no more than a few milliseconds to make; they are made and
                compressed in a thread, which lets the event loop in after each.
            accepts: The statuses of an answer that is no error.
        """
        return await self._http.answer(
            operation,
            Request(
                method="POST",
                path="/api/v2/write",
                query={"org": self.org, "bucket": self.bucket, "precision": "us"},
                headers=_TEXT,
                body=await asyncio.to_thread(_compressed, lines),
                writing=True,
                accepts=accepts,
            ),
        )

    async def delete(self, operation: str, predicate: str) -> None:
        """Delete the points of all times that a predicate selects."""
        await self._http.answer(
            operation,
            Request(
                method="POST",
                path="/api/v2/delete",
                query={"org": self.org, "bucket": self.bucket},
                headers=_JSON,
                body={**_ALWAYS, "predicate": predicate},
                writing=True,
            ),
        )

    async def get(self, operation: str, path: str, query: Mapping[str, str]) -> Any:
        """Ask the management API for something; return None if it does not exist."""
        request = Request(
            method="GET", path=path, query=query, headers=_JSON, accepts=(HTTPStatus.OK, _MISSING)
        )
        answer = await self._http.answer(operation, request)
        with corrupt(operation):
            return None if answer.status == _MISSING else json.loads(answer.body)

    async def found(self, operation: str) -> Any:
        """Return what the management API says of the bucket; None if it shows none.

        That is so where it does not exist, and where the token may not read it.
        """
        query = {"org": self.org, "name": self.bucket}
        answer = await self.get(operation, "/api/v2/buckets", query)
        with corrupt(operation):
            return None if answer is None else next(iter(answer["buckets"]), None)

    async def change(self, operation: str, method: str, path: str, body: object) -> None:
        """Let the management API make or change something, with a token known to be good."""
        await self._http.answer(
            operation,
            Request(
                method=method,
                path=path,
                headers=_JSON,
                body=body,
                writing=True,
                # Here the server calls a good token unauthorized that lacks a right.
                unauthorized=403,
            ),
        )

    async def version(self, operation: str) -> str:
        """Return the server's version."""
        async with self._http.send(operation, Request(method="GET", path="/ping")) as response:
            return response.headers.get("X-Influxdb-Version", "unknown").lstrip("v")

    async def query(
        self, operation: str, text: str, params: Params, *, take: Callable[[Rows], object]
    ) -> None:
        """Run a query of InfluxQL, with times in whole microseconds since 1970.

        Args:
            operation: The port's method.
            text: A constant, with `$name` for every value.
            params: The values.
            take: Is called with rows as they come; an error of decoding that it raises is
                translated.
        """
        request = Request(
            method="POST",
            path="/query",
            query={
                "db": self._database,
                "rp": self._policy,
                "epoch": "u",
                "chunked": "true",
                "chunk_size": str(_ROWS_AT_ONCE),
            },
            headers=_FORM,
            form={"q": text, "params": json.dumps(params)},
        )
        complete, taken = False, 0
        async with self._http.send(operation, request) as response:
            async for line in _lines(response):
                with corrupt(operation):
                    result = json.loads(line)["results"][0]
                    for series in result.get("series", ()):
                        take(Rows(series.get("tags", {}), series["columns"], series["values"]))
                if "error" in result:
                    raise await self._unanswered(operation)
                complete = not result.get("partial", False)
                taken += len(line)
                if taken >= _BYTES_AT_ONCE:
                    taken = 0
                    await asyncio.sleep(0)  # the next line may be here already; let others in first
        if not complete:
            raise CorruptDataError(STORE, operation, "the answer has no end")

    async def _unanswered(self, operation: str) -> StoreError:
        """Return why a query that the server could read has no answer.

        The server says why in words only, and says the same of a bucket that is missing and of one
        that the token may not read.  So it is asked in another way.
        """
        if await self.found(operation) is None:
            return refused(HTTPStatus.NOT_FOUND, operation, writing=False)
        # Something passing, such as too many queries at once, or the server's own time limit.
        return UnavailableError(STORE, operation, "the server gave the query up: see its log")


def _compressed(parts: Iterable[bytes]) -> bytes:
    # To compress a part gives other threads, and so the event loop, their turn.
    zipper = zlib.compressobj(level=_FAST, wbits=_GZIP)
    return b"".join([*map(zipper.compress, parts), zipper.flush()])


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Cut an answer into its lines, however long they are."""
    rest = b""
    async for data in response.content.iter_any():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line
    if rest:
        yield rest
