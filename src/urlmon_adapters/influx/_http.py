"""HTTP through the package influxdb-client, with its errors translated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from attrs import field, frozen

from urlmon.domain.secrets import Secret
from urlmon.errors import StoreError
from urlmon_adapters.influx._errors import STORE, failed, refused, wait_asked_for

GOOD: Final = range(200, 300)
_UNAUTHORIZED: Final = 401


@frozen(kw_only=True)
class Request:
    """A request to the server.

    Attributes:
        method: Of HTTP.
        path: Below the server's address.
        query: What follows the path.
        headers: Without the token; the content type says what is sent.
        body: Bytes, or with the content type JSON an object.
        form: What is sent with the content type of a form.
        writing: Whether it is to change something.
        unauthorized: What the server means by the status 401: it says so also of a good token that
            lacks a right.
        accepts: The statuses of an answer that is no error.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(factory=dict)
    headers: Mapping[str, str] = field(factory=dict)
    body: object = None
    form: Mapping[str, str] | None = None
    writing: bool = False
    unauthorized: int = _UNAUTHORIZED
    accepts: Container[int] = GOOD


@frozen(kw_only=True)
class Answer:
    """A whole answer.

    Attributes:
        status: Of HTTP.
        body: What the server said.
    """

    status: int
    body: bytes


class Said(Exception):  # noqa: N818 - it is raised nowhere
    """The cause of an error: what the server answered, in its own words."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status}: {answer.body.decode(errors='replace')}")


class Http:
    """A server and the token for it.  Nothing happens until `open`."""

    def __init__(
        self, url: str, token: Secret, *, timeout_seconds: float, connections: int
    ) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._connections = connections
        self._client: Any = None  # the package has no usable types

    async def open(self) -> None:
        """Make the client, in the event loop that will use it; no connection yet."""
        if self._client is not None:
            return
        # The package takes a second to load, which only those should wait for who use it.
        from influxdb_client.client.influxdb_client_async import (  # noqa: PLC0415
            InfluxDBClientAsync,
        )

        seconds = self._timeout_seconds
        # No limit for a whole request: a long answer that keeps coming is a good one.
        limits: Any = aiohttp.ClientTimeout(
            total=None, connect=seconds, sock_connect=seconds, sock_read=seconds
        )
        self._client = InfluxDBClientAsync(
            self._url,
            self._token.reveal(),
            timeout=limits,
            connection_pool_maxsize=self._connections,
            # Following a redirect would take the token to another address.
            allow_redirects=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @asynccontextmanager
    async def send(self, operation: str, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and give its answer, of an accepted status, to a block.

        Raises:
            StoreError: There is no such answer, or it broke off, translated.
        """
        response = await self._sent(operation, request)
        try:
            async with response:
                status = response.status
                if status not in request.accepts:
                    said = Said(Answer(status=status, body=await response.read()))
                    meant = request.unauthorized if status == _UNAUTHORIZED else status
                    error = refused(
                        meant,
                        operation,
                        writing=request.writing,
                        retry_after=wait_asked_for(response.headers),
                    )
                    raise error from said
                yield response
        except (aiohttp.ClientError, OSError) as exc:
            raise failed(exc, operation, writing=request.writing) from exc

    async def answer(self, operation: str, request: Request) -> Answer:
        """Send a request and return its answer, of an accepted status.

        Raises:
            StoreError: There is no such answer, or it broke off, translated.
        """
        async with self.send(operation, request) as response:
            return Answer(status=response.status, body=await response.read())

    async def _sent(self, operation: str, request: Request) -> aiohttp.ClientResponse:
        """Wait for the head of the answer."""
        if self._client is None:
            raise StoreError(STORE, operation, "the client is closed: open it first")
        api = self._client.api_client
        try:
            response: aiohttp.ClientResponse = await api.rest_client.request(
                request.method,
                self._url + request.path,
                query_params=request.query,
                headers={**request.headers, **api.default_headers},
                body=request.body,
                post_params=request.form,
                _preload_content=False,
            )
        except aiohttp.ClientResponseError as exc:
            error = failed(exc, operation, writing=request.writing)
        except (aiohttp.ClientError, OSError) as exc:
            raise failed(exc, operation, writing=request.writing) from exc
        else:
            return response
        # Raised out here, without its cause: that one's repr shows the headers that were sent, and
        # so the token.
        raise error
