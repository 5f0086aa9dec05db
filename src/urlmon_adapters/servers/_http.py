"""The few HTTP requests that set up an InfluxDB."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


def request(
    url: str,
    path: str,
    *,
    token: str | None = None,
    body: Mapping[str, object] | None = None,
    timeout_seconds: float = 10,
) -> tuple[int, dict[str, object]]:
    """Send a GET, or a POST when there is a body, past any proxy; return status and JSON object.

    Raises:
        OSError: There was no answer.
        http.client.HTTPException: The answer is not HTTP.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_seconds)
    try:
        connection.request(
            "GET" if body is None else "POST",
            parts.path.rstrip("/") + path,
            body=None if body is None else json.dumps(body),
            headers={} if token is None else {"Authorization": f"Token {token}"},
        )
        answer = connection.getresponse()
        return answer.status, _json_object(answer.read())
    finally:
        connection.close()


def _json_object(body: bytes) -> dict[str, object]:
    try:
        parsed: object = json.loads(body)
    except ValueError:
        return {}
    return cast("dict[str, object]", parsed) if isinstance(parsed, dict) else {}
