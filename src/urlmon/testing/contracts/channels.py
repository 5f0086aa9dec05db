"""The contract of `ChannelRepo`."""

from __future__ import annotations

from urlmon.testing.contracts._channels_add import AddingContract
from urlmon.testing.contracts._channels_change import RemovingContract, UpdatingContract
from urlmon.testing.contracts._channels_delivery import ChannelIsolationContract, DeliveryContract
from urlmon.testing.contracts._channels_read import ReadingContract


class ChannelRepoContract(
    AddingContract,
    UpdatingContract,
    RemovingContract,
    ReadingContract,
    DeliveryContract,
    ChannelIsolationContract,
):
    """What every `ChannelRepo` must hold, over the fixture `relational`."""
