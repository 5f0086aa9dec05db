"""The names of migration files: `YYYYMMDD_name.sql`, whose order is that of migrations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from urlmon.errors import MigrationError

_NAME: Final = re.compile(r"(\d{8})_[a-z0-9_]+\.sql")


def is_migration(name: str) -> bool:
    """Whether a file has to be a migration: a misnamed one must not be passed over in silence."""
    return name.lower().endswith(".sql")


def date_of(name: str) -> date:
    """Return the date in the name of a migration.

    Raises:
        MigrationError: It is not named as a migration is.
    """
    matched = _NAME.fullmatch(name)
    try:
        return date.fromisoformat(matched[1] if matched else "")
    except ValueError:
        raise MigrationError(
            f"{name}: migrations are named YYYYMMDD_name.sql, with a real date and a name of"
            " small letters, digits and _; rename it"
        ) from None


def next_name(slug: str, names: Iterable[str]) -> str:
    """Return the name with today's date, or the first later one that comes after all names."""
    day = datetime.now(UTC).date()
    newest = max(names, default="")
    if newest:
        day = max(day, date_of(newest))
    if f"{day:%Y%m%d}_{slug}" <= newest:
        day += timedelta(days=1)
    return f"{day:%Y%m%d}_{slug}"


def new_migration(directory: Path, title: str, description: str) -> Path:
    """Write the frame of a migration that comes after all others, and return its path.

    Several may do so at once: each gets a name of its own.

    Raises:
        MigrationError: The title or the description cannot be used, or the folder not written to.
    """
    slug = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    if not slug or not description.strip() or "\n" in description:
        raise MigrationError("a migration needs a name with letters or digits, and a line about it")
    try:
        while True:
            path = directory / next_name(f"{slug}.sql", _names(directory))
            try:
                file = path.open("x", encoding="utf-8", newline="\n")
            except FileExistsError:
                continue  # someone else has taken the name since
            with file:
                file.write(f"-- Migration: {path.stem}\n-- Description: {description.strip()}\n\n")
            if path.name == max(_names(directory)):
                return path
            path.unlink()  # someone else has written a later one since
    except OSError as exc:
        raise MigrationError(f"{directory} cannot be written to: {exc.strerror}") from exc


def _names(directory: Path) -> list[str]:
    return [entry.name for entry in directory.iterdir() if is_migration(entry.name)]
