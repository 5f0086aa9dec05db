"""How both containers, of the real stores and of the fakes, build the upkeep of their ports."""

from __future__ import annotations

from typing import TypedDict, Unpack

from dependency_injector import providers

from urlmon.ports import (
    AlertRepo,
    AlertStateCache,
    CheckResultStore,
    FailureCounters,
    Locks,
    MonitorDirectory,
    Schedule,
    TransitionOutbox,
    WorkingState,
)
from urlmon.services.agreement import Agreement
from urlmon.services.seeding import Seeding
from urlmon.services.upkeep import Upkeep


class UpkeepPorts(TypedDict):
    """The ports that the upkeep works on."""

    working_state: providers.Provider[WorkingState]
    directory: providers.Provider[MonitorDirectory]
    alerts: providers.Provider[AlertRepo]
    results: providers.Provider[CheckResultStore]
    schedule: providers.Provider[Schedule]
    alert_state: providers.Provider[AlertStateCache]
    outbox: providers.Provider[TransitionOutbox]
    counters: providers.Provider[FailureCounters]
    locks: providers.Provider[Locks]


def wire_upkeep(**ports: Unpack[UpkeepPorts]) -> providers.Provider[Upkeep]:
    """Wire the upkeep of a container's ports."""
    seeding = providers.Singleton(
        Seeding,
        schedule=ports["schedule"],
        alert_state=ports["alert_state"],
        counters=ports["counters"],
        alerts=ports["alerts"],
        results=ports["results"],
    )
    agreement = providers.Singleton(
        Agreement,
        directory=ports["directory"],
        alert_state=ports["alert_state"],
        outbox=ports["outbox"],
        alerts=ports["alerts"],
        seeding=seeding,
    )
    return providers.Singleton(
        Upkeep,
        working_state=ports["working_state"],
        directory=ports["directory"],
        schedule=ports["schedule"],
        seeding=seeding,
        agreement=agreement,
        locks=ports["locks"],
    )
