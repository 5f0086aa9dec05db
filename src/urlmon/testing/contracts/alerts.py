"""The contract of `AlertRepo`."""

from __future__ import annotations

from urlmon.testing.contracts._alerts_change import AcknowledgingContract, ResolvingContract
from urlmon.testing.contracts._alerts_open import OpeningContract
from urlmon.testing.contracts._alerts_read import ListingContract
from urlmon.testing.contracts._alerts_timeline import AlertIsolationContract, TimelineContract


class AlertRepoContract(
    OpeningContract,
    AcknowledgingContract,
    ResolvingContract,
    ListingContract,
    TimelineContract,
    AlertIsolationContract,
):
    """What every `AlertRepo` must hold, over the fixture `relational`."""
