"""The format of migration files: names, headers, and what a file may not contain.

A file is named `YYYYMMDD_name.sql` and opens with its header:

    -- Migration: 20270110_alert_notes
    -- Description: free text on alerts
    -- Transaction: none

The first is the version, which the database records.  The last is optional, for the one statement
of a file that PostgreSQL does not run in a transaction.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Final

from attrs import field, frozen

from urlmon.errors import MigrationError
from urlmon_adapters.postgres._migration_names import date_of, is_migration
from urlmon_adapters.postgres._migration_repair import index_built
from urlmon_adapters.postgres._sql_scanner import ScanError, Statement, split

_HEADER_LINE: Final = re.compile(r"--[ \t]*([A-Za-z][A-Za-z-]*):[ \t]*(.*)")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KEYS: Final = ("Migration", "Description", "Transaction")
# What follows the colon is how the text and the tokens were hashed; another way gets another name.
_TEXT_HASH: Final = "sha256-text-1:"
_TOKEN_HASH: Final = "sha256-tokens-1:"  # noqa: S105  # no password
_SHOWN: Final = 100
_TRANSACTION: Final = frozenset({"begin", "start", "commit", "end", "rollback", "abort"})
_NOT_IN_TRANSACTION: Final = (
    ("vacuum",),
    ("alter", "system"),
    ("create", "database"),
    ("drop", "database"),
    ("create", "tablespace"),
    ("drop", "tablespace"),
    ("create", "index", "concurrently"),
    ("create", "unique", "index", "concurrently"),
    ("drop", "index", "concurrently"),
)


@frozen(kw_only=True, slots=False)
class MigrationFile:
    """One migration; its statements are looked at when they are first asked for.

    Attributes:
        name: The file's name; the order of names is the order of migrations.
        version: What the database records.
        description: One line for people.
        in_transaction: Whether it runs in a transaction.
        text: The SQL with its header; lines end in LF.
        text_hash: Tells whether the text has changed, in more than its line ends.
    """

    name: str
    version: str
    description: str
    in_transaction: bool
    text: str = field(repr=False)
    text_hash: str = field(repr=False)

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """Where the statements stand in the text.

        Raises:
            MigrationError: They cannot be told apart, or one is not for migrations.
        """
        return _statements(self.name, self.text, in_transaction=self.in_transaction)

    @cached_property
    def token_hash(self) -> str:
        """Tells whether the file has changed in more than comments and space.

        Raises:
            MigrationError: Its statements cannot be told apart, or one is not for migrations.
        """
        return _TOKEN_HASH + _hash(self.statements)

    def require_valid(self) -> None:
        """Check that it can be run, as far as its text tells.

        Raises:
            MigrationError: It cannot.
        """
        _ = self.statements

    def has(self, *tokens: str) -> bool:
        """Whether some statement has these tokens in this order, whatever stands between."""
        for statement in self.statements:
            rest = iter(statement.tokens)
            if all(token in rest for token in tokens):
                return True
        return False

    def sql(self, statement: Statement) -> str:
        """Return the text of one of the statements."""
        return self.text[statement.start : statement.end]

    def line(self, statement: Statement) -> int:
        """Return the number of the line that one of the statements begins on."""
        return self.text.count("\n", 0, statement.start) + 1

    def problem(self, offset: int, message: str) -> str:
        """Return a message with file, line and column of a character, and the line itself."""
        return _problem(self.name, self.text, offset, message)


def read_migrations(texts: Mapping[str, str]) -> tuple[MigrationFile, ...]:
    """Read the headers of migrations from their texts by name, as `read_texts` returns them.

    Raises:
        MigrationError: One is not as it should be, or two have one version.
    """
    files = tuple(_read(name, text) for name, text in texts.items())
    names: dict[str, str] = {}
    for file in files:
        if file.version in names:
            raise MigrationError(
                f"{names[file.version]} and {file.name} both have the version {file.version}:"
                " give the one that was not applied anywhere another version"
            )
        names[file.version] = file.name
    return files


def read_texts(directory: Traversable) -> dict[str, str]:
    """Return the text of each migration of a directory by name, in order; lines end in LF.

    Raises:
        MigrationError: It cannot be read, or something that ends in `.sql` is no migration.
    """
    texts: dict[str, str] = {}
    try:
        for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
            if is_migration(entry.name):
                texts[entry.name] = _text(entry)
    except OSError as exc:
        raise MigrationError(f"{directory} cannot be read: {exc.strerror}") from exc
    return texts


def _text(entry: Traversable) -> str:
    date_of(entry.name)
    try:
        text = entry.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise MigrationError(f"{entry.name}: byte {exc.start} is not UTF-8") from exc
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read(name: str, text: str) -> MigrationFile:
    header = _header(name, text)
    return MigrationFile(
        name=name,
        version=header["Migration"],
        description=header["Description"],
        in_transaction="Transaction" not in header,
        text=text,
        text_hash=_TEXT_HASH + hashlib.sha256(text.encode()).hexdigest(),
    )


def _header(name: str, text: str) -> dict[str, str]:
    header: dict[str, str] = {}
    for number, line in enumerate(text.lstrip("\n").split("\n"), 1):
        if not line.startswith("--"):
            break
        matched = _HEADER_LINE.fullmatch(line.rstrip())
        if matched is None:
            continue
        key, value = matched.groups()
        if key not in _KEYS:
            raise MigrationError(
                f"{name}: header line {number} has the unknown key {key}; known are"
                f" {', '.join(_KEYS)}; an empty line ends the header"
            )
        if key in header:
            raise MigrationError(f"{name}: the header says {key} twice")
        header[key] = value
    for key in ("Migration", "Description"):
        if not header.get(key):
            raise MigrationError(f"{name}: the file must open with the header line -- {key}: ...")
    if not _VERSION.fullmatch(header["Migration"]):
        raise MigrationError(
            f"{name}: the version in -- Migration: may have letters, digits, . _ - and no space"
        )
    if header.get("Transaction", "none") != "none":
        raise MigrationError(f"{name}: -- Transaction: can only be none")
    return header


def _statements(name: str, text: str, *, in_transaction: bool) -> tuple[Statement, ...]:
    try:
        statements = tuple(split(text))
    except ScanError as exc:
        raise MigrationError(_problem(name, text, exc.offset, exc.reason)) from None
    for statement in statements:
        reason = _reason_against(statement.tokens, in_transaction=in_transaction)
        if reason:
            raise MigrationError(_problem(name, text, statement.start, reason))
    if not statements:
        raise MigrationError(f"{name}: there is no statement in it")
    if not in_transaction and len(statements) > 1:
        reason = "a file with -- Transaction: none has exactly one statement; move this elsewhere"
        raise MigrationError(_problem(name, text, statements[1].start, reason))
    return statements


def _reason_against(tokens: tuple[str, ...], *, in_transaction: bool) -> str:
    if tokens[0] in _TRANSACTION or tokens[:2] == ("prepare", "transaction"):
        return (
            f"{tokens[0].upper()} is not for migrations: a file is one transaction already, which"
            " is committed together with the record of it; remove it"
        )
    if tokens[0] == "copy" and "stdin" in tokens:
        return "COPY ... FROM STDIN has nothing to read from here; use INSERT"
    if (index_built(tokens) or ("", "named"))[1] == "":
        return "give the index a name: by it what an interrupted run leaves is found and repaired"
    if in_transaction and any(tokens[: len(each)] == each for each in _NOT_IN_TRANSACTION):
        return (
            "this cannot run in a transaction: move it to a file of its own with the header line"
            " -- Transaction: none"
        )
    return ""


def _hash(statements: tuple[Statement, ...]) -> str:
    digest = hashlib.sha256()
    for statement in statements:
        digest.update("\0".join((*statement.tokens, ";", "")).encode())
    return digest.hexdigest()


def _problem(name: str, text: str, offset: int, message: str) -> str:
    start = text.rfind("\n", 0, offset) + 1
    line, column = text.count("\n", 0, offset) + 1, offset - start
    shown = text[max(start, offset - _SHOWN) : offset + _SHOWN].partition("\n")[0]
    pointed = re.sub(r"[^\t]", " ", shown[: offset - max(start, offset - _SHOWN)])
    margin = " " * len(str(line))
    return f"{name}:{line}:{column + 1}: {message}\n  {line} | {shown}\n  {margin} | {pointed}^"
