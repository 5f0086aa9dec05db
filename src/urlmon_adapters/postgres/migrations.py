"""Brings the schema to where the migration files say, and tells how it stands to them.

    report = await Migrations(url).apply()

Files are applied in the order of their names, each once, however many processes start together.
There is no way back but a new file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from attrs import frozen

import urlmon_adapters
from urlmon.errors import MigrationError
from urlmon_adapters._migration_errors import MigrationHistoryError, MigrationLockedError
from urlmon_adapters.postgres._database import Connection
from urlmon_adapters.postgres._migration_connection import Patience, connected
from urlmon_adapters.postgres._migration_files import MigrationFile, new_migration, read_migrations
from urlmon_adapters.postgres._migration_history import (
    AppliedMigration,
    MigrationStatus,
    compare,
    require_continuation,
    warnings,
)
from urlmon_adapters.postgres._migration_ledger import read_applied
from urlmon_adapters.postgres._migration_run import MigrationRun

__all__ = [
    "AppliedMigration",
    "MigrationFile",
    "MigrationHistoryError",
    "MigrationLockedError",
    "MigrationReport",
    "MigrationStatus",
    "Migrations",
    "new_migration",
    "packaged_migrations",
]

_LOGGER: Final = logging.getLogger(__name__)
_LOCK_WAIT: Final = timedelta(seconds=60)


def packaged_migrations() -> Traversable:
    """Return the folder of urlmon's own migrations: in an installed package or in a checkout.

    Raises:
        MigrationError: There is none; the package was not built as it should be.
    """
    installed = resources.files("urlmon_adapters.postgres") / "sql"
    if installed.is_dir():
        return installed
    checkout = Path(urlmon_adapters.__file__).parents[2] / "migrations"
    if checkout.is_dir():
        return checkout
    raise MigrationError("the package holds no migrations: it was not built from the whole source")


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
            directory: Where the files are; those of urlmon by default.
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
            return compare(files, await read_applied(connection))

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
        tell: Callable[[str], None] = _LOGGER.info,
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

        async def pending(connection: Connection) -> MigrationStatus:
            status = compare(files, await read_applied(connection))
            require_continuation(status, allow_out_of_order=allow_out_of_order)
            return status

        async with connected(self._url) as connection:
            status = await pending(connection)
        applied: list[str] = []
        for file in status.pending:

            async def is_pending(connection: Connection, file: MigrationFile = file) -> bool:
                return file in (await pending(connection)).pending

            run = MigrationRun(self._url, file, is_pending, Patience(lock_wait, tell))
            if await run.run():
                applied.append(file.version)
                tell(f"applied {file.name}")
        return MigrationReport(applied=tuple(applied), warnings=warnings(status))

    def _files(self) -> tuple[MigrationFile, ...]:
        directory = packaged_migrations() if self._directory is None else self._directory
        files = read_migrations(directory)
        if not files:
            raise MigrationError(f"{directory} holds no migrations")
        return files
