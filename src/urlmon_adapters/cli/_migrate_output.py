"""How `urlmon migrate` shows a plan and the state of a database, to people and to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer
from attrs import asdict

if TYPE_CHECKING:
    from urlmon_adapters.postgres.migrations import (
        AppliedMigration,
        MigrationFile,
        MigrationStatus,
    )

_MODES: Final = {
    True: "in a transaction",
    False: "outside a transaction, over a direct connection",
}


def print_plan(files: tuple[MigrationFile, ...]) -> None:
    """Show what would run, for a person."""
    for number, file in enumerate(files, 1):
        typer.echo(f"{number}. {file.name}  {file.version}  ({_MODES[file.in_transaction]})")
        for statement in file.statements:
            first = file.sql(statement).partition("\n")[0]
            typer.echo(f"{file.line(statement):>7} | {first}")
    if not files:
        typer.echo("nothing to apply")


def plan_document(files: tuple[MigrationFile, ...]) -> dict[str, object]:
    """Show what would run, for a program."""
    return {
        "plan": [
            {
                **_file(file),
                "in_transaction": file.in_transaction,
                "statements": [
                    {"line": file.line(statement), "sql": file.sql(statement)}
                    for statement in file.statements
                ],
            }
            for file in files
        ]
    }


def print_status(found: MigrationStatus) -> None:
    """Show the state of a database, for a person."""
    notes = {row.version: _acceptance(row) for row in found.applied if row.acceptances}
    notes |= dict.fromkeys((file.version for file in found.edited), "comments edited since")
    notes |= dict.fromkeys((file.version for file in found.drifted), "CHANGED SINCE")
    notes |= dict.fromkeys(found.ahead, "no such file here; newer than all of them")
    notes |= dict.fromkeys(found.diverged, "NO SUCH FILE HERE")
    notes |= dict.fromkeys(
        (file.version for file in found.out_of_order), "OLDER THAN AN APPLIED ONE"
    )
    for row in found.applied:
        at = f"{row.applied_at:%Y-%m-%d %H:%M:%S}Z" if row.applied_at else "at an unknown time"
        state = "assumed" if row.assumed else "applied"
        typer.echo(f"{state}  {at:<20}  {row.version}  {notes.get(row.version, '')}".rstrip())
    for file in found.pending:
        typer.echo(f"pending  {'':<20}  {file.version}  {notes.get(file.version, '')}".rstrip())
    typer.echo(f"state    {found.state}")


def status_document(found: MigrationStatus) -> dict[str, object]:
    """Show the state of a database, for a program."""
    return {
        "state": found.state,
        "applied": [_applied(row) for row in found.applied],
        "pending": _files(found.pending),
        "out_of_order": _files(found.out_of_order),
        "edited": _files(found.edited),
        "drifted": _files(found.drifted),
        "ahead": found.ahead,
        "diverged": found.diverged,
    }


def _applied(row: AppliedMigration) -> dict[str, object]:
    return {
        "version": row.version,
        "description": row.description,
        "applied_at": row.applied_at and row.applied_at.isoformat(),
        "file": row.file,
        "assumed": row.assumed,
        "acceptances": [
            {**asdict(acceptance), "at": acceptance.at.isoformat()}
            for acceptance in row.acceptances
        ],
    }


def _acceptance(row: AppliedMigration) -> str:
    last = row.acceptances[-1]
    return f"changed since; accepted {last.at:%Y-%m-%d} by {last.by}: {last.reason}"


def _files(files: tuple[MigrationFile, ...]) -> list[dict[str, object]]:
    return [_file(file) for file in files]


def _file(file: MigrationFile) -> dict[str, object]:
    return {"version": file.version, "description": file.description, "file": file.name}
