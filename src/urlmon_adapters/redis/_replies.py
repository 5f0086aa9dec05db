"""Reads the server's answers: what has another shape is an error, and not a surprise later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from urlmon.errors import CorruptDataError
from urlmon_adapters.redis._commands import Reply
from urlmon_adapters.redis._errors import STORE


@contextmanager
def decoding(operation: str) -> Iterator[None]:
    """Turn whatever reading an answer meets into one error.

    Raises:
        CorruptDataError: The block could not read an answer.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, OverflowError) as exc:
        detail = "a key holds what this version of urlmon does not write"
        raise CorruptDataError(STORE, operation, detail) from exc


def items(reply: Reply) -> list[Reply]:
    """Return the parts of an answer."""
    if not isinstance(reply, list):
        raise TypeError("not an array")
    return reply


def pairs(replies: Sequence[Reply]) -> Iterator[tuple[Reply, Reply]]:
    """Return answers two by two."""
    return zip(replies[::2], replies[1::2], strict=True)


def text(reply: Reply) -> str:
    """Return an answer that is text."""
    return body(reply).decode()


def fields(reply: Reply) -> dict[str, str]:
    """Return the lines of an answer such as that of `INFO`, by name."""
    return dict(line.split(":", 1) for line in text(reply).splitlines() if ":" in line)


def body(reply: Reply) -> bytes:
    """Return an answer that is bytes of any kind."""
    if not isinstance(reply, bytes):
        raise TypeError("not bytes")
    return reply


def number(reply: Reply) -> int:
    """Return an answer that is a whole number, or the text of one."""
    if not isinstance(reply, bytes | int):
        raise TypeError("not a number")
    return int(reply)
