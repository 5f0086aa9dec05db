"""Brings the schema to where the migration files say, and tells how it stands to them.

    report = await Migrations(url).apply()

Files are applied in the order of their names, each once, however many processes start together.
There is no way back but a new file.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from attrs import frozen

import urlmon_adapters
from urlmon.errors import MigrationError
from urlmon_adapters._migration_errors import MigrationHistoryError, MigrationLockedError
from urlmon_adapters.postgres import _migration_ledger as ledger
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._migration_connection import Patience, Tell, connected
from urlmon_adapters.postgres._migration_files import MigrationFile, read_migrations, read_texts
from urlmon_adapters.postgres._migration_history import (
    Acceptance,
    AppliedMigration,
    MigrationStatus,
    compare,
    require_continuation,
    warnings,
)
from urlmon_adapters.postgres._migration_lock import in_lock
from urlmon_adapters.postgres._migration_manifest import check_manifest, write_manifest
from urlmon_adapters.postgres._migration_names import new_migration
from urlmon_adapters.postgres._migration_run import MigrationRun

__all__ = [
    "Acceptance",
    "AppliedMigration",
    "MigrationFile",
    "MigrationHistoryError",
    "MigrationLockedError",
    "MigrationReport",
    "MigrationStatus",
    "Migrations",
    "new_manifest",
    "new_migration",
    "packaged_migrations",
]

_LOGGER: Final = logging.getLogger(__name__)
_LOCK_WAIT: Final = timedelta(seconds=60)
_SHOWN: Final = 5


_PACKAGED: Final = resources.files("urlmon_adapters.postgres") / "sql"


def packaged_migrations() -> Traversable:
    """Return the folder of urlmon's own migrations: in an installed package or in a checkout.

    Raises:
        MigrationError: There is none; the package was not built as it should be.
    """
    if _PACKAGED.is_dir():
        return _PACKAGED
    checkout = Path(urlmon_adapters.__file__).parents[2] / "migrations"
    if checkout.is_dir():
        return checkout
    raise MigrationError("the package holds no migrations: it was not built from the whole source")


def new_manifest(directory: Path) -> Path:
    """Write the list of a directory's migrations that shows whether all are there and unchanged.

    Raises:
        MigrationError: It cannot be written, or a file is not named as a migration is.
    """
    return write_manifest(directory, read_texts(directory))


@frozen(kw_only=True)
class MigrationReport:
    """What `Migrations.apply` did.

    Attributes:
        applied: The versions that this call applied, in order.
        warnings: What is odd but no obstacle, one line each.
    """

    applied: tuple[str, ...]
    warnings: tuple[str, ...]


class Migrations:
    """The migrations of one database."""

    def __init__(self, url: str, directory: Traversable | None = None) -> None:
        """Connect to nothing and read nothing yet.

        Args:
            url: A libpq connection string; its role must own the tables.
            directory: Where the files are; those of urlmon by default.  A manifest that lies there
                is checked.
        """
        self._url = url
        self._directory = directory

    async def status(self) -> MigrationStatus:
        """Compare the database with the files; writes nothing and waits for nobody.

        Raises:
            MigrationError: A file is not as it should be.
            UnavailableError: The database cannot be reached.
            StoreError: It cannot be read.
        """
        files = self._files()
        async with connected(self._url) as connection:
            return compare(files, await ledger.read_applied(connection))

    async def plan(self, *, allow_out_of_order: bool = False) -> tuple[MigrationFile, ...]:
        """Return what `apply` would run now, in order; writes nothing and waits for nobody.

        Raises:
            MigrationHistoryError: The files do not continue what was applied.
            MigrationError: A file is not as it should be.
            UnavailableError: The database cannot be reached.
            StoreError: It cannot be read.
        """
        status = await self.status()
        require_continuation(status, allow_out_of_order=allow_out_of_order)
        return status.pending

    async def verify(self) -> None:
        """Check that nothing is pending and nothing applied was changed since.

        A database that a newer version of urlmon has migrated passes.

        Raises:
            MigrationHistoryError: The files do not continue what was applied.
            MigrationError: A file is pending, or is not as it should be.
            UnavailableError: The database cannot be reached.
            StoreError: It cannot be read.
        """
        status = await self.status()
        require_continuation(status, allow_out_of_order=False)
        if status.pending:
            names = ", ".join(file.name for file in status.pending)
            raise MigrationError(f"not applied to the database yet: {names}; run `urlmon migrate`")

    async def apply(
        self,
        *,
        allow_out_of_order: bool = False,
        lock_wait: timedelta = _LOCK_WAIT,
        tell: Tell = _LOGGER.info,
    ) -> MigrationReport:
        """Apply what is pending; all files are checked before the first one runs.

        It may be called again at any time, also after a failure and by many at once.

        Args:
            allow_out_of_order: Whether files older than an applied one are applied.
            lock_wait: How long to try to get what others hold, for each file.
            tell: Is told of each file applied and of each wait.

        Raises:
            MigrationHistoryError: The files do not continue what was applied.
            MigrationLockedError: What others hold was not to be had in time.
            MigrationError: A file failed, or is not as it should be.
            UnavailableError: The database cannot be reached, or the connection was lost.
            StoreError: It refused something.
        """
        files = self._files()

        async def read_status(connection: Connection) -> MigrationStatus:
            status = compare(files, await ledger.read_applied(connection))
            require_continuation(status, allow_out_of_order=allow_out_of_order)
            return status

        async with connected(self._url) as connection:
            run = MigrationRun(self._url, connection, read_status, lock_wait, tell)
            status = await run.status()
            await run.require_direct(status.pending)
            applied: list[str] = []
            for file in status.pending:
                if await run.run(file):
                    applied.append(file.version)
                    tell(f"applied {file.name}")
        return MigrationReport(applied=tuple(applied), warnings=warnings(status))

    async def baseline(
        self, version: str, *, lock_wait: timedelta = _LOCK_WAIT, tell: Tell = _LOGGER.info
    ) -> tuple[str, ...]:
        """Record a migration and all before it as applied, without running them.

        For a database whose schema was made in another way.  Returns the versions assumed, in
        order.

        Args:
            version: The newest one whose work the database has.
            lock_wait: How long to wait for another that migrates.
            tell: Is told of each wait.

        Raises:
            MigrationHistoryError: The database has a history already.
            MigrationLockedError: Another one migrates, and did not end in time.
            MigrationError: No file has this version, or one is not as it should be.
            UnavailableError: The database cannot be reached, or the connection was lost.
            StoreError: It refused something.
        """
        files = self._files()
        assumed = files[: files.index(_with_version(files, version)) + 1]

        async def record() -> None:
            applied = await ledger.read_applied(connection)
            if applied:
                raise MigrationHistoryError(
                    f"the database has a history already, of {len(applied)} migrations up to"
                    f" {max(applied)}: nothing was recorded; see `urlmon migrate status`"
                )
            await ledger.assume(connection, assumed)

        async with connected(self._url) as connection:
            await in_lock(connection, Patience(lock_wait, tell), record)
        return tuple(file.version for file in assumed)

    async def accept(
        self,
        version: str,
        *,
        reason: str,
        lock_wait: timedelta = _LOCK_WAIT,
        tell: Tell = _LOGGER.info,
    ) -> bool:
        """Record that an applied file is right as it is now, although it was changed since.

        Nothing is run.  The hashes before are kept, with reason, role and time.  Returns whether
        there was a change to accept.

        Args:
            version: The version of the file.
            reason: Why, for those who read the history.
            lock_wait: How long to wait for another that migrates.
            tell: Is told of each wait.

        Raises:
            MigrationLockedError: Another one migrates, and did not end in time.
            MigrationError: It was not applied, no file has this version, there is no reason, or a
                file is not as it should be.
            UnavailableError: The database cannot be reached, or the connection was lost.
            StoreError: It refused something.
        """
        file = _with_version(self._files(), version)
        if not reason.strip():
            raise MigrationError("an accepted change needs a reason")

        async def record() -> bool:
            applied = (await ledger.read_applied(connection)).get(version)
            if applied is None:
                raise MigrationError(f"{version} is not applied: there is nothing to accept")
            if applied.text_hash == file.text_hash and applied.token_hash == file.token_hash:
                return False
            await ledger.accept(connection, file, reason.strip())
            return True

        async with connected(self._url) as connection:
            return await in_lock(connection, Patience(lock_wait, tell), record)

    def _files(self) -> tuple[MigrationFile, ...]:
        directory = packaged_migrations() if self._directory is None else self._directory
        texts = read_texts(directory)
        # A checkout is being worked on: there, a test holds the manifest to the files.
        if self._directory is not None or directory == _PACKAGED:
            check_manifest(directory, texts, required=directory == _PACKAGED)
        if not texts:
            raise MigrationError(f"{directory} holds no migrations")
        return read_migrations(texts)


def _with_version(files: Sequence[MigrationFile], version: str) -> MigrationFile:
    for file in files:
        if file.version == version:
            return file
    versions = ", ".join(file.version for file in files[-_SHOWN:])
    raise MigrationError(f"no file has the version {version}; the newest are {versions}")
