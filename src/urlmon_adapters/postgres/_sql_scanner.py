"""Splits SQL text into statements and tokens, as far as needed: it knows where text is quoted.

This is no parser.  It skips strings, dollar quotes and comments, and so finds what a statement
begins with, where it ends, and what it is made of once comments and space are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

_TOKEN: Final = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*)
    | (?P<comment>/\*)
    | (?P<string>[eE]'(?:[^'\\]+|\\.|'')*+' | (?:[uU]&|[bBnNxX])?'(?:[^']+|'')*+'
        | (?:[uU]&)?"(?:[^"]+|"")*+")
    | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<other>\$\d+|\d[\w.]*|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
_UNCLOSED: Final = {"'": "string", '"': "quoted name", "$": "dollar quote"}


class ScanError(ValueError):
    """The text cannot be SQL for a server.

    Attributes:
        offset: Where, in characters.
    """

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(offset, reason)
        self.offset = offset
        self.reason = reason


@frozen
class Statement:
    """One statement of a text.

    Attributes:
        start: Where it begins, in characters.
        end: Where it ends, without the semicolon.
        tokens: What it is made of; words that are not quoted in lower case.
    """

    start: int
    end: int
    tokens: tuple[str, ...]


def split(text: str) -> Iterator[Statement]:
    """Split a text at the semicolons that end a statement; empty statements are left out.

    Raises:
        ScanError: A quote or comment is not closed, or there is a command of `psql`.
    """
    tokens: list[str] = []
    start = end = 0
    parentheses = blocks = 0
    for offset, symbol in _tokens(text):
        if symbol == ";" and parentheses <= 0 and blocks == 0:
            if tokens:
                yield Statement(start, end, tuple(tokens))
            tokens, parentheses = [], 0
            continue
        parentheses += (symbol == "(") - (symbol == ")")
        # The body of a function in standard SQL, which CASE can nest in: its END ends no statement.
        if symbol == "atomic" and tokens[-1:] == ["begin"]:
            blocks = 1
        elif blocks:
            blocks += (symbol == "case") - (symbol == "end")
        if not tokens:
            start = offset
        tokens.append(symbol)
        end = offset + len(symbol)
    if tokens:
        yield Statement(start, end, tuple(tokens))


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    offset = 0
    while match := _TOKEN.match(text, offset):
        kind, symbol = match.lastgroup, match.group()
        if kind == "comment":
            offset = _end_of_comment(text, offset)
            continue
        if kind == "other" and symbol in _UNCLOSED:
            raise ScanError(offset, f"this {_UNCLOSED[symbol]} is not closed")
        if kind == "other" and symbol == "\\":
            raise ScanError(offset, "commands of psql are not SQL: remove it")
        if kind != "space":
            yield offset, symbol.lower() if kind == "word" else symbol
        offset = match.end()


def _end_of_comment(text: str, start: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    raise ScanError(start, "this comment is not closed")
