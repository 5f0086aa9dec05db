"""The format of migration files: names, headers, and what a file may not contain.

A file is named `YYYYMMDD_name.sql` and opens with its header:

    -- Migration: 003_alert_notes
    -- Description: free text on alerts
    -- Transaction: none

The first is the version, which the database records.  The last is optional, for the one statement
of a file that PostgreSQL does not run in a transaction.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from attrs import field, frozen

from urlmon.errors import MigrationError
from urlmon_adapters.postgres._sql_scanner import ScanError, Statement, split

_NAME: Final = re.compile(r"(\d{8})_[a-z0-9_]+\.sql")
_HEADER_LINE: Final = re.compile(r"--[ \t]*([A-Za-z][A-Za-z-]*):[ \t]*(.*)")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KEYS: Final = ("Migration", "Description", "Transaction")
# What follows the colon is how the text and the tokens were hashed; another way gets another name.
_TEXT_HASH: Final = "sha256-text-1:"
_TOKEN_HASH: Final = "sha256-tokens-1:"  # noqa: S105  # no password
_SHOWN: Final = 100
_TRANSACTION: Final = frozenset({"begin", "start", "commit", "end", "rollback", "abort"})


@frozen(kw_only=True)
class MigrationFile:
    """One migration.

    Attributes:
        name: The file's name; the order of names is the order of migrations.
        version: What the database records.
        description: One line for people.
        in_transaction: Whether it runs in a transaction.
        text: The SQL with its header; lines end in LF.
        statements: Where the statements stand in the text.
        text_hash: Tells whether the text has changed, in more than its line ends.
        token_hash: Tells whether it has changed in more than comments and space.
    """

    name: str
    version: str
    description: str
    in_transaction: bool
    text: str = field(repr=False)
    statements: tuple[Statement, ...] = field(repr=False)
    text_hash: str = field(repr=False)
    token_hash: str = field(repr=False)

    def has(self, *tokens: str) -> bool:
        """Whether some statement has these tokens in this order, whatever stands between."""
        for statement in self.statements:
            rest = iter(statement.tokens)
            if all(token in rest for token in tokens):
                return True
        return False

    def problem(self, offset: int, message: str) -> str:
        """Return a message with file, line and column of a character, and the line itself."""
        return _problem(self.name, self.text, offset, message)


def read_migrations(directory: Traversable) -> tuple[MigrationFile, ...]:
    """Read all migrations of a directory, in order.

    Raises:
        MigrationError: Something that ends in `.sql` is no migration, or two have one version.
    """
    files = tuple(_read(name, text) for name, text in _texts(directory).items())
    names: dict[str, str] = {}
    for file in files:
        if file.version in names:
            raise MigrationError(
                f"{names[file.version]} and {file.name} both have the version {file.version}:"
                " give the one that was not applied anywhere another version"
            )
        names[file.version] = file.name
    return files


def new_migration(directory: Path, title: str, description: str) -> Path:
    """Write the frame of a migration that comes after all others, and return its path.

    Raises:
        MigrationError: The title or the description cannot be used, or the folder not written to.
    """
    slug = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    if not slug or not description.strip() or "\n" in description:
        raise MigrationError("a migration needs a name with letters or digits, and a line about it")
    texts = _texts(directory)
    versions = [_header(name, text)["Migration"] for name, text in texts.items()]
    numbers = [int(found[0]) for version in versions if (found := re.match(r"\d+", version))]
    version = f"{max(numbers, default=0) + 1:03}_{slug}"
    path = directory / next_name(f"{slug}.sql", tuple(texts))
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(f"-- Migration: {version}\n-- Description: {description.strip()}\n\n")
    except OSError as exc:
        raise MigrationError(f"{path} cannot be written: {exc.strerror}") from exc
    return path


def next_name(slug: str, names: Sequence[str]) -> str:
    """Return the name with today's date, or the first later one that comes after all names."""
    day = datetime.now(UTC).date()
    newest = max(names, default="")
    if newest:
        day = max(day, _date(newest))
    if f"{day:%Y%m%d}_{slug}" <= newest:
        day += timedelta(days=1)
    return f"{day:%Y%m%d}_{slug}"


def _date(name: str) -> date:
    matched = _NAME.fullmatch(name)
    try:
        return datetime.strptime(matched[1] if matched else "", "%Y%m%d").date()  # noqa: DTZ007
    except ValueError:
        raise MigrationError(
            f"{name}: migrations are named YYYYMMDD_name.sql, with a real date and a name of"
            " small letters, digits and _; rename it"
        ) from None


def _texts(directory: Traversable) -> dict[str, str]:
    """Return the text of each migration file by name, in order."""
    texts: dict[str, str] = {}
    try:
        for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
            if entry.name.lower().endswith(".sql"):
                texts[entry.name] = _text(entry)
    except OSError as exc:
        raise MigrationError(f"{directory} cannot be read: {exc.strerror}") from exc
    return texts


def _text(entry: Traversable) -> str:
    _date(entry.name)
    try:
        text = entry.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise MigrationError(f"{entry.name}: byte {exc.start} is not UTF-8") from exc
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read(name: str, text: str) -> MigrationFile:
    header = _header(name, text)
    in_transaction = "Transaction" not in header
    statements = _statements(name, text, at_most=None if in_transaction else 1)
    return MigrationFile(
        name=name,
        version=header["Migration"],
        description=header["Description"],
        in_transaction=in_transaction,
        text=text,
        statements=statements,
        text_hash=_TEXT_HASH + hashlib.sha256(text.encode()).hexdigest(),
        token_hash=_TOKEN_HASH + _hash(statements),
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


def _statements(name: str, text: str, *, at_most: int | None) -> tuple[Statement, ...]:
    try:
        statements = tuple(split(text))
    except ScanError as exc:
        raise MigrationError(_problem(name, text, exc.offset, exc.reason)) from None
    for statement in statements:
        reason = _reason_against(statement.tokens)
        if reason:
            raise MigrationError(_problem(name, text, statement.start, reason))
    if not statements:
        raise MigrationError(f"{name}: there is no statement in it")
    if at_most is not None and len(statements) > at_most:
        reason = "a file with -- Transaction: none has exactly one statement; move this elsewhere"
        raise MigrationError(_problem(name, text, statements[at_most].start, reason))
    return statements


def _reason_against(tokens: tuple[str, ...]) -> str:
    if tokens[0] in _TRANSACTION or tokens[:2] == ("prepare", "transaction"):
        return (
            f"{tokens[0].upper()} is not for migrations: a file is one transaction already, which"
            " is committed together with the record of it; remove it"
        )
    if tokens[0] == "copy" and "stdin" in tokens:
        return "COPY ... FROM STDIN has nothing to read from here; use INSERT"
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
