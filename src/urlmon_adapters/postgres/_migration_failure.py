"""Says why a statement of a migration failed: where, what, and what to do about it."""

from __future__ import annotations

from typing import Final

import psycopg

from urlmon.errors import MigrationError
from urlmon_adapters.postgres._migration_files import MigrationFile
from urlmon_adapters.postgres._sql_scanner import Statement

# By SQLSTATE.
_ADVICE: Final = {
    "25001": "give the file the header line -- Transaction: none, and no other statement",
    "42501": "migrate as the role that owns the tables: name it in URLMON_MIGRATION_URL",
}

_EXISTS_ALREADY: Final = "42P07"


def explain(file: MigrationFile, statement: Statement, error: psycopg.Error) -> str:
    """Return the message for a failed statement."""
    diag = error.diag
    offset = int(diag.statement_position) - 1 if diag.statement_position else 0
    reason = f"{diag.message_primary or error} (SQLSTATE {error.sqlstate})"
    lines = [file.problem(statement.start + offset, reason)]
    notes = {
        "detail": diag.message_detail,
        "hint": diag.message_hint,
        "in": (diag.context or "").partition("\n")[0],
        "advice": _advice(file, statement, error),
    }
    lines += [f"{name}: {note}" for name, note in notes.items() if note]
    if file.in_transaction:
        lines.append("Nothing of this file was applied; those before it stay applied.")
    else:
        lines.append("It ran outside a transaction: look at what it left before it runs again.")
    return "\n".join(lines)


def left_transaction(file: MigrationFile) -> MigrationError:
    """Return the error for a file that has ended the transaction that it runs in."""
    return MigrationError(
        f"{file.name} ended the transaction that it runs in: part of it is applied and not"
        " recorded; look at what it left, and take out what ends the transaction"
    )


def _advice(file: MigrationFile, statement: Statement, error: psycopg.Error) -> str:
    if statement.tokens[:2] == ("create", "extension") and '"uuid-ossp"' in statement.tokens:
        return "leave the statement out: uuid_generate_v4() is there without the extension"
    if not file.in_transaction and error.sqlstate == _EXISTS_ALREADY:
        return "if a run that was interrupted made it, write IF NOT EXISTS"
    return _ADVICE.get(error.sqlstate or "", "")
