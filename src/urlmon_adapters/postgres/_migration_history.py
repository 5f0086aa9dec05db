"""Compares what was applied to a database with the files at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from attrs import frozen

from urlmon_adapters._migration_errors import MigrationHistoryError
from urlmon_adapters.postgres._migration_files import MigrationFile
from urlmon_adapters.postgres._migration_names import next_name

State = Literal["current", "ahead", "pending", "out_of_order", "drifted", "diverged"]


@frozen(kw_only=True)
class Acceptance:
    """A change of an applied file that someone has accepted.

    Attributes:
        at: When.
        by: The role that did.
        reason: Why.
        text_hash: The hash of its text before.
        token_hash: The hash of its tokens before.
    """

    at: datetime
    by: str
    reason: str
    text_hash: str | None
    token_hash: str | None


@frozen(kw_only=True)
class AppliedMigration:
    """What the database records of one migration.

    Attributes:
        version: Its version.
        description: Its description, if recorded.
        applied_at: When it was applied, if recorded.
        file: The name of its file; None where something else than urlmon applied it.
        text_hash: The hash of its text then; None likewise.
        token_hash: The hash of its tokens then; None likewise.
        assumed: Whether it was not run, but taken for applied by `baseline`.
        acceptances: The changes of its file accepted since; the hashes are those of the last one.
    """

    version: str
    description: str | None = None
    applied_at: datetime | None = None
    file: str | None = None
    text_hash: str | None = None
    token_hash: str | None = None
    assumed: bool = False
    acceptances: tuple[Acceptance, ...] = ()


@frozen(kw_only=True)
class MigrationStatus:
    """How a database stands to the files; each tuple is in order.

    Attributes:
        applied: All that the database records.
        pending: Files not applied yet.
        out_of_order: Those pending files that are older than an applied one.
        edited: Files changed after they were applied, in comments or space alone.
        drifted: Files whose statements were changed after they were applied.
        ahead: Versions that no file has, newer than all files: a newer release was here.
        diverged: Versions that no file has, older than some file: another history.
    """

    applied: tuple[AppliedMigration, ...]
    pending: tuple[MigrationFile, ...]
    out_of_order: tuple[MigrationFile, ...]
    edited: tuple[MigrationFile, ...]
    drifted: tuple[MigrationFile, ...]
    ahead: tuple[str, ...]
    diverged: tuple[str, ...]

    @property
    def state(self) -> State:
        """The worst that is the case; `current` and `ahead` are good."""
        if self.diverged:
            return "diverged"
        if self.drifted:
            return "drifted"
        if self.out_of_order:
            return "out_of_order"
        if self.pending:
            return "pending"
        return "ahead" if self.ahead else "current"


def compare(
    files: Sequence[MigrationFile], applied: Mapping[str, AppliedMigration]
) -> MigrationStatus:
    """Compare files, in order, with what was applied, by version.

    Raises:
        MigrationError: A file that is pending, or was changed, has statements that are refused.
    """
    known = {file.version for file in files}
    unknown = [row for row in applied.values() if row.version not in known]
    done = [file for file in files if file.version in applied]
    pending = tuple(file for file in files if file.version not in applied)
    newest = max([*(file.name for file in done), *(row.file or "" for row in unknown)], default="")
    changed = [file for file in done if _differ(file.text_hash, applied[file.version].text_hash)]
    drifted = tuple(
        file for file in changed if _differ(file.token_hash, applied[file.version].token_hash)
    )
    for file in pending:
        file.require_valid()
    ahead = tuple(row.version for row in unknown if _is_newer(row, files))
    return MigrationStatus(
        applied=tuple(applied.values()),
        pending=pending,
        out_of_order=tuple(file for file in pending if file.name < newest),
        edited=tuple(file for file in changed if file not in drifted),
        drifted=drifted,
        ahead=ahead,
        diverged=tuple(row.version for row in unknown if row.version not in ahead),
    )


def _differ(now: str, then: str | None) -> bool:
    """Whether two hashes tell of a change; those made in different ways tell nothing."""
    return then is not None and now != then and now.split(":", maxsplit=1)[0] == then.split(":")[0]


def _is_newer(row: AppliedMigration, files: Sequence[MigrationFile]) -> bool:
    if row.file is not None:
        return all(row.file > file.name for file in files)
    return all(row.version > file.version for file in files)


def require_continuation(status: MigrationStatus, *, allow_out_of_order: bool) -> None:
    """Check that what is pending only continues what was applied.

    Raises:
        MigrationHistoryError: It does not; says what to do.
    """
    problems = [
        f"the database has {version}, which no file here has and which is not newer than all of"
        " them: is it the right database, and are these the files that it was migrated with?"
        for version in status.diverged
    ]
    times = {row.version: row.applied_at for row in status.applied}
    problems += [
        f"{file.name} was changed after it was applied, at {times[file.version]}: put it back, and"
        " make the change in a new file; or, if the database is as the file now says, run"
        f" `urlmon migrate accept {file.version} --reason ...`"
        for file in status.drifted
    ]
    if not allow_out_of_order:
        problems += [
            f"{file.name} is older than a migration that was applied already: rename it to"
            f" {_renamed(file, status)}, or allow it with --allow-out-of-order"
            for file in status.out_of_order
        ]
    if problems:
        raise MigrationHistoryError("\n".join(problems))


def warnings(status: MigrationStatus) -> tuple[str, ...]:
    """Return what is odd about a database but no obstacle, one line each."""
    edited = [
        f"{file.name} was changed after it was applied, but only in comments or space"
        for file in status.edited
    ]
    ahead = [
        f"the database has {version}, which is newer than all files here"
        for version in status.ahead
    ]
    return (*edited, *ahead)


def _renamed(file: MigrationFile, status: MigrationStatus) -> str:
    """Return a name that puts a file behind all that was applied and all that is pending."""
    names = [other.name for other in status.pending]
    names += [row.file for row in status.applied if row.file is not None]
    return next_name(file.name.partition("_")[2], names)
