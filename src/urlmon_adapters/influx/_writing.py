"""Writes results, and finds those that the server will never take.

| the server says | that means | what is done |
|---|---|---|
| 2xx | stored | |
| 400 | a line cannot be read; nothing is stored | halved, down to that line: rejected |
| 422 | a line is too old, or a field of another type; the rest is stored | likewise |
| 413 | too long for the server, or a proxy before it | halved; one line alone: `StoreError` |
| 401, 403, 404 | the token, its rights, or the bucket | `StoreError` that says which |
| 3xx, other 4xx | no InfluxDB, or not one of this kind | `StoreError` |
| 408, 425 | it did not receive everything | `UnavailableError` |
| 429 | it has too much to do, and has stored nothing | `UnavailableError` with `Retry-After` |
| 5xx | it failed; perhaps it has stored something | `UnavailableError` with `Retry-After` |
| nothing | down or silent; perhaps it has stored something | `UnavailableError` |

Nothing is sent twice but the good lines beside a bad one, which the server then writes over.

A line is at fault only if the server is well otherwise: where it took none of the batch it is asked
to take nothing at all, and where it refuses more than 20 lines of one batch the fault is the
bucket's or the server's.  Both is a `StoreError`, and no result is put aside for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from urlmon.domain.check_results import CheckResult, Key, key_of
from urlmon.domain.fates import Fate, rejected
from urlmon.errors import UnavailableError
from urlmon_adapters.influx._client import Influx
from urlmon_adapters.influx._errors import refused
from urlmon_adapters.influx._http import GOOD, Answer, Said
from urlmon_adapters.influx._lines import encode

_TOO_LONG: Final = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_MEANT_FOR_LINES: Final = {
    *GOOD,
    HTTPStatus.BAD_REQUEST,
    _TOO_LONG,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
_MOST_REJECTED: Final = 20


async def write_results(
    influx: Influx, operation: str, results: Sequence[CheckResult]
) -> dict[Key, Fate]:
    """Write results, each identity once; return the fate of those that the server rejected.

    Raises:
        UnavailableError: The server did not take all of them, and may later.
        StoreError: It would not take them later either, for another reason than what they hold.
    """
    fates: dict[Key, Fate] = {}
    stored = False
    parts = [results]
    try:
        while parts:
            part = parts.pop()
            answer = await influx.write(operation, encode(part), accepts=_MEANT_FOR_LINES)
            if answer.status in GOOD:
                stored = True
            elif len(part) > 1:
                middle = len(part) // 2
                parts += (part[middle:], part[:middle])
            elif answer.status == _TOO_LONG or len(fates) == _MOST_REJECTED:
                raise refused(answer.status, operation, writing=True) from Said(answer)
            else:
                fates[key_of(part[0])] = rejected(_reason(answer))
        if fates and not stored:
            await influx.write(operation, [])
    except UnavailableError as exc:
        exc.maybe_applied |= stored
        raise
    return fates


def _reason(answer: Answer) -> str:
    """Return what the server said of a line."""
    try:
        said: Any = json.loads(answer.body)["message"]
    except (LookupError, TypeError, ValueError):
        said = answer.body.decode(errors="replace")
    return f"status {answer.status}: {said}"
