"""The contract of `CheckResultStore`."""

from __future__ import annotations

from urlmon.testing.contracts._check_results_fates import FatesContract
from urlmon.testing.contracts._check_results_forget import ForgettingContract
from urlmon.testing.contracts._check_results_read import HistoryContract, LatestContract
from urlmon.testing.contracts._check_results_record import RecordingContract


class CheckResultStoreContract(
    RecordingContract, FatesContract, LatestContract, HistoryContract, ForgettingContract
):
    """What every `CheckResultStore` must hold, over the fixture `recording`."""
