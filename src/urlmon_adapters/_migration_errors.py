"""What keeps a database from being migrated, as far as a caller would act on it differently."""

from __future__ import annotations

from urlmon.errors import MigrationError


class MigrationLockedError(MigrationError):
    """Another process migrates this database, or holds what a migration needs; nothing was done."""


class MigrationHistoryError(MigrationError):
    """What was applied to this database and what the files say do not go together."""
