"""The in-memory `WorkingState`."""

from __future__ import annotations

from urlmon.domain._validators import check_text
from urlmon.ports import WorkingState
from urlmon.testing.state import InMemoryState


class InMemoryWorkingState(WorkingState):
    """Whole from the first on, until `InMemoryState.lose_everything`."""

    __slots__ = ("_state",)

    def __init__(self, state: InMemoryState) -> None:
        self._state = state

    async def is_whole(self) -> bool:
        async with self._state.faults.call("WorkingState.is_whole"):
            return self._state.whole

    async def origin(self) -> str:
        async with self._state.faults.call("WorkingState.origin"):
            return self._state.origin

    async def begin_repair(self, repair_id: str) -> bool:
        check_text("repair_id", repair_id, longest=100)
        async with self._state.faults.call("WorkingState.begin_repair"):
            if not self._state.whole:
                self._state.repair = repair_id
            return not self._state.whole

    async def finish_repair(self, repair_id: str) -> bool:
        check_text("repair_id", repair_id, longest=100)
        async with self._state.faults.call("WorkingState.finish_repair"):
            self._state.whole = self._state.whole or self._state.repair == repair_id
            return self._state.whole
