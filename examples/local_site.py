"""A small web site on 127.0.0.1 with every kind of page that a monitor meets."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SLOW_SECONDS = 0.4
UP_SECONDS, DOWN_SECONDS = 7, 5


@frozen(kw_only=True)
class Site:
    """A running site.

    Attributes:
        pages: URL of each page by its name.
        hook: Where a webhook channel can post to.
        received: The notifications posted there.
    """

    pages: dict[str, str]
    hook: str
    received: list[dict[str, str]] = field(factory=list)


@asynccontextmanager
async def local_site() -> AsyncIterator[Site]:
    """Serve the site while the block runs."""
    received: list[dict[str, str]] = []
    app = web.Application()
    app.add_routes(
        [
            web.get("/healthy", _healthy),
            web.get("/slow", _slow),
            web.get("/flapping", _flapping),
            web.get("/down", _down),
            web.post("/hook", _hook(received)),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        plain = await _listen(runner, None)
        secure = await _listen(runner, _self_signed())
        pages = {name: f"{plain}/{name}" for name in ("healthy", "slow", "flapping", "down")}
        pages["bad-certificate"] = f"{secure}/healthy"
        yield Site(pages=pages, hook=f"{plain}/hook", received=received)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, tls: ssl.SSLContext | None) -> str:
    """Listen on a free port and return its URL."""
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls, shutdown_timeout=1)
    await site.start()
    port: int = runner.addresses[-1][1]
    return f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="fine")


async def _slow(_: web.Request) -> web.Response:
    await asyncio.sleep(SLOW_SECONDS)
    return web.Response(text="fine, in the end")


async def _flapping(_: web.Request) -> web.Response:
    up = time.time() % (UP_SECONDS + DOWN_SECONDS) < UP_SECONDS
    return web.Response(status=200 if up else 502)


async def _down(_: web.Request) -> web.Response:
    return web.Response(status=503)


def _hook(received: list[dict[str, str]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def hook(request: web.Request) -> web.Response:
        received.append(await request.json())
        return web.Response(status=204)

    return hook


def _self_signed() -> ssl.SSLContext:
    """Make a certificate that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "certificate.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context.load_cert_chain(file)
    return context
