"""The contract of `CheckResultStore`."""

from __future__ import annotations

from urlmon.testing.contracts._check_results_read import (
    ForgettingContract,
    HistoryContract,
    LatestContract,
)
from urlmon.testing.contracts._check_results_record import RecordingContract


class CheckResultStoreContract(
    RecordingContract, LatestContract, HistoryContract, ForgettingContract
):
    """What every `CheckResultStore` must hold, over the fixture `recording`."""
