"""The types of single settings: what each accepts, in words that never repeat its value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator

from urlmon.domain.secrets import Secret
from urlmon.errors import InvalidValueError
from urlmon_adapters._redaction import split_url
from urlmon_adapters._redis_url import parse_redis_url

if TYPE_CHECKING:
    from collections.abc import Callable

_NEW_KEY: Final = "openssl rand -base64 32 | tr '+/' '-_'"


def _check_url(text: str, *schemes: str) -> str:
    if not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    try:
        split_url(text)
    except ValueError:
        raise ValueError("must be a valid URL, special characters percent-encoded") from None
    return text


def _check_database_url(text: str) -> str:
    return _check_url(text, "postgresql", "postgres")


def _check_redis_url(text: str) -> str:
    parse_redis_url(text)
    return text


def _check_influx_url(text: str) -> str:
    parts = split_url(_check_url(text, "http", "https"))
    if not parts.hostname or parts.username is not None:
        raise ValueError("must name a host and no user: what authorizes is INFLUXDB_TOKEN")
    return text


def _check_token(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("must be printable ASCII characters without spaces")
    return text


def _check_namespace(text: str) -> str:
    # Braces would be a hash tag of Redis Cluster, and the keys have one of their own.
    if not re.fullmatch(r"[\w:.-]{1,64}", text, re.ASCII):
        raise ValueError("must be 1 to 64 letters, digits, or any of : . _ -")
    return text


def _secret(check: Callable[[str], str]) -> BeforeValidator:
    """Make a `Secret` of text that passes `check`."""

    def convert(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return Secret(check(value))
        except InvalidValueError as exc:
            raise ValueError(exc.reason) from None

    return BeforeValidator(convert)


def _split_keys(value: object) -> object:
    """Make secrets of comma-separated keys, each 32 bytes in url-safe base64."""
    if not isinstance(value, str):
        return value
    keys = [key.strip() for key in value.split(",")]
    for number, key in enumerate(keys, start=1):
        if not re.fullmatch(r"[\w-]{43}=", key, re.ASCII):
            raise ValueError(
                f"must be 32 bytes in url-safe base64, and number {number} of {len(keys)} is not:"
                f" make one with {_NEW_KEY}"
            )
    return tuple(map(Secret, keys))


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


DatabaseUrl = Annotated[Secret, _secret(_check_database_url)]
RedisUrl = Annotated[Secret, _secret(_check_redis_url)]
InfluxUrl = Annotated[str, AfterValidator(_check_influx_url)]
Token = Annotated[Secret, _secret(_check_token)]
Namespace = Annotated[str, AfterValidator(_check_namespace)]
SecretKeys = Annotated[tuple[Secret, ...], BeforeValidator(_split_keys)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
