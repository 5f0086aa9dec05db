"""A reader of InfluxDB's line protocol, written from its specification and nothing of ours.

https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from __future__ import annotations

from dataclasses import dataclass

Value = int | float | bool | str
_TRUE, _FALSE = {"t", "T", "true", "True", "TRUE"}, {"f", "F", "false", "False", "FALSE"}


@dataclass(frozen=True)
class Point:
    """A point as the server understands it."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    timestamp: int | None


class Reader:
    """Reads text character by character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        """Return the next character, or nothing at the end."""
        return self.text[self.at : self.at + 1]

    def take(self, expected: str = "") -> str:
        """Return the next character and go on."""
        found = self.peek()
        if not found or (expected and found != expected):
            raise ValueError(f"{found!r} at {self.at} instead of {expected!r}")
        self.at += 1
        return found

    def name(self, ends: str, escapable: str) -> str:
        """Read up to one of some characters; a backslash before one of others makes it plain."""
        read = ""
        while self.peek() and self.peek() not in ends:
            character = self.take()
            if character == "\\" and self.peek() and self.peek() in escapable:
                character = self.take()
            elif character in "\n\r":
                raise ValueError(f"a line break at {self.at}")
            read += character
        if not read or read.endswith("\\"):
            raise ValueError(f"no name, or one that ends with a backslash, at {self.at}")
        return read

    def string(self) -> str:
        """Read a field between quotes: only quote and backslash are escaped."""
        self.take('"')
        read = ""
        while self.peek() != '"':
            character = self.take()
            if character == "\\" and self.peek() and self.peek() in '"\\':
                character = self.take()
            read += character
        self.take('"')
        return read

    def value(self) -> Value:
        """Read a field."""
        if self.peek() == '"':
            return self.string()
        token = ""
        while self.peek() and self.peek() not in ", \n":
            token += self.take()
        if token in _TRUE | _FALSE:
            return token in _TRUE
        if token.endswith("i"):
            number = int(token[:-1])
            if not -(2**63) <= number < 2**63:
                raise ValueError("more than 64 bits")
            return number
        return float(token)


def read(lines: str) -> list[Point]:
    """Return the points of some lines, leaving comments and empty lines out."""
    reader = Reader(lines)
    points: list[Point] = []
    while reader.peek():
        if reader.peek() == "\n":
            reader.take()
        elif reader.peek() == "#":
            while reader.peek() not in {"", "\n"}:
                reader.take()
        else:
            points.append(_point(reader))
    return points


def _point(reader: Reader) -> Point:
    measurement = reader.name(", ", ", ")
    tags: dict[str, str] = {}
    while reader.peek() == ",":
        reader.take()
        key = reader.name("=", ",= ")
        reader.take("=")
        if key in tags:
            raise ValueError(f"tag {key} twice")
        tags[key] = reader.name(", ", ",= ")
    reader.take(" ")
    fields: dict[str, Value] = {}
    while True:
        key = reader.name("=", ",= ")
        reader.take("=")
        if key in fields:
            raise ValueError(f"field {key} twice")
        fields[key] = reader.value()
        if reader.peek() != ",":
            break
        reader.take()
    timestamp = None
    if reader.peek() == " ":
        reader.take()
        digits = ""
        while reader.peek() not in {"", "\n"}:
            digits += reader.take()
        timestamp = int(digits)
    if reader.peek():
        reader.take("\n")
    return Point(measurement, tags, fields, timestamp)
