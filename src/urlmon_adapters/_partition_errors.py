"""What keeps partitions from being changed, as far as a caller would act on it differently."""

from __future__ import annotations

from urlmon.errors import UnavailableError


class PartitionsBusyError(UnavailableError):
    """Another process changes the partitions, or holds a lock on them; nothing was done."""
