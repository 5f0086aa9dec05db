"""The exit codes of the `urlmon` command."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from urlmon.errors import ConfigurationError, UnavailableError
from urlmon_adapters._migration_errors import MigrationHistoryError, MigrationLockedError
from urlmon_adapters._partition_errors import PartitionsBusyError


class ExitCode(IntEnum):
    """What a caller of the command can rely on."""

    OK = 0
    FAILED = 1  # the operation failed, or something is unhealthy
    USAGE = 2
    NOT_UP_TO_DATE = 3  # migrations are pending
    LOCKED = 4  # someone else migrates, or changes the partitions
    DIVERGED = 5  # the schema or its history is not what the files say
    UNREACHABLE = 6  # a store does not answer
    CONFIGURATION = 78  # EX_CONFIG of sysexits.h
    INTERRUPTED = 130  # as a shell reports SIGINT


# The first class that fits decides; everything else is FAILED.
_BY_ERROR: Final = (
    (ConfigurationError, ExitCode.CONFIGURATION),
    (PartitionsBusyError, ExitCode.LOCKED),
    (UnavailableError, ExitCode.UNREACHABLE),
    (MigrationLockedError, ExitCode.LOCKED),
    (MigrationHistoryError, ExitCode.DIVERGED),
)


def code_for(error: BaseException) -> ExitCode:
    """Return the exit code that tells of an error."""
    for kind, code in _BY_ERROR:
        if isinstance(error, kind):
            return code
    return ExitCode.FAILED
