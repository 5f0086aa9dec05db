"""The canonical form of a monitored URL."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, quote, urlsplit

from urlmon.domain._validators import check_text
from urlmon.errors import InvalidValueError

LONGEST_URL = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}
# A bracketed host with nothing beside it but a port: `urlsplit` overlooks what else is there.
_HOST_AND_PORT = re.compile(r"(?:\[[^\[\]%]*:[^\[\]%]*\]|[^\[\]:]*)(?::\d*)?")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# What RFC 3986 permits in a path or query, besides letters, digits and existing escapes.
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"


def canonical_url(value: object) -> str:
    """Return the one form in which a URL is stored.

    Scheme and host in lower case, the host in ASCII (IDNA), the default port left out, an empty
    path written as `/`, and characters outside of ASCII percent-encoded as UTF-8 (RFC 3986).
    Making a canonical URL canonical again changes nothing.

    Raises:
        InvalidValueError: The scheme is not http or https, there is no valid host, there is user
            info, a fragment, white space, a control character or a backslash, a percent sign does
            not open an escape, or the result is longer than 2,048 characters.
    """
    raw = check_text("url", value, longest=LONGEST_URL)
    if any(character <= " " or character in '\\\x7f<>"{}|^`' for character in raw) or (
        re.search(r"\s|%(?![0-9A-Fa-f]{2})", raw)
    ):
        raise InvalidValueError(
            "url", "must not hold white space, controls, backslashes or loose percent signs"
        )
    if "#" in raw:
        raise InvalidValueError("url", "must not have a fragment")
    try:
        parts = urlsplit(raw)
        port = parts.port
    except ValueError as exc:
        raise InvalidValueError("url", "must have a valid host and port") from exc
    _refuse(parts)
    host = _canonical_host(parts.hostname or "")
    scheme = parts.scheme.lower()
    netloc = host if port in {None, _DEFAULT_PORTS[scheme]} else f"{host}:{port}"
    path = quote(parts.path or "/", safe=_PATH_SAFE)
    # An empty query is not the same as none (RFC 3986, section 6.2.3).
    query = "?" * ("?" in raw) + quote(parts.query, safe=_PATH_SAFE + "?[]")
    canonical = f"{scheme}://{netloc}{path}{query}"
    if len(canonical) > LONGEST_URL:
        raise InvalidValueError("url", f"must have at most {LONGEST_URL} characters when encoded")
    return canonical


def _refuse(parts: SplitResult) -> None:
    """Refuse what a monitored URL may not have."""
    if parts.scheme.lower() not in _DEFAULT_PORTS:
        raise InvalidValueError("url", "must begin with http:// or https://")
    if "@" in parts.netloc:
        raise InvalidValueError("url", "must not hold a user name or password")
    if _HOST_AND_PORT.fullmatch(parts.netloc) is None:
        raise InvalidValueError("url", "must have a valid host and port")
    if parts.port == 0:
        raise InvalidValueError("url", "must have a port from 1 to 65535")


def _canonical_host(host: str) -> str:
    """Return a host name in ASCII, or an IP address in its shortest form."""
    if ":" in host:
        return f"[{_canonical_ipv6(host)}]"
    try:
        name = host.encode("idna").decode().lower() if not host.isascii() else host.lower()
    except UnicodeError as exc:
        raise InvalidValueError("url", "must have a valid host") from exc
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidValueError("url", "must have a valid host")
    if labels[-1].isdigit():
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError as exc:
            raise InvalidValueError("url", "must have a valid host") from exc
    return name


def _canonical_ipv6(host: str) -> str:
    """Return an IPv6 address in its shortest form (RFC 5952), the same in every Python."""
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError as exc:
        raise InvalidValueError("url", "must have a valid host") from exc
    mapped = address.ipv4_mapped
    return f"::ffff:{mapped}" if mapped is not None else str(address)
