"""Random programs on spools: the fake and the files give the same answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from tests.fixtures.disk import SimulatedFolder
from tests.result_strategies import results, supported

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.testing.clock import FakeClock
from urlmon.testing.spool import InMemorySpool
from urlmon.testing.state import InMemoryState
from urlmon_adapters.spool import FileSpool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from urlmon.domain.check_results import CheckResult
    from urlmon.ports import Spool

T = TypeVar("T")
LIMIT = 4 << 20
RESULTS = results([TenantId.new()], [MonitorId.new(), MonitorId.new()], supported)
PLACES = st.sets(st.integers(0, 30))


class Spools(RuleBasedStateMachine):
    """Everything that can be done to a spool that has room."""

    def __init__(self, runner: asyncio.Runner) -> None:
        super().__init__()
        self.runner = runner
        files = FileSpool(SimulatedFolder(), FakeClock(), limit_bytes=LIMIT)
        self.spools: tuple[Spool, Spool] = (InMemorySpool(InMemoryState()), files)
        files._segments._segment_size = 1_000
        self.numbers: list[tuple[int, int]] = []  # of each entry, in both
        self.both(lambda spool, _: spool.open())

    def both(self, call: Callable[[Spool, int], Awaitable[T]]) -> tuple[T, T]:
        """Make a call on both, the fake first; both then hold as much."""

        async def answers() -> tuple[T, T]:
            fake, real = self.spools
            return await call(fake, 0), await call(real, 1)

        found = self.runner.run(answers())
        counts = [(e.entries, e.results, e.dead) for e in (each.status() for each in self.spools)]
        assert counts[0] == counts[1]
        return found

    @rule(batch=st.lists(RESULTS, min_size=1, max_size=5))
    def append(self, batch: list[CheckResult]) -> None:
        """Put something in."""
        fake, real = self.both(lambda spool, _: spool.append(batch))
        assert fake is not None
        assert real is not None
        assert all(fake > each[0] for each in self.numbers)
        self.numbers.append((fake, real))

    @rule(after=st.integers(0, 25), without=PLACES, limit=st.sampled_from([1, 6, 5_000]))
    def read(self, after: int, without: set[int], limit: int) -> None:
        """Read from anywhere, leaving some out."""
        numbers = [(0, 0), *self.numbers]
        start = numbers[min(after, len(numbers) - 1)]
        left_out = [self.numbers[each] for each in without if each < len(self.numbers)]
        fake, real = self.both(
            lambda spool, which: spool.read(
                after=start[which], without={each[which] for each in left_out}, limit=limit
            )
        )
        assert [each.results for each in fake] == [each.results for each in real]
        assert {(a.number, b.number) for a, b in zip(fake, real, strict=True)} <= set(self.numbers)

    @rule(places=PLACES)
    def settle(self, places: set[int]) -> None:
        """Let some go."""
        some = [self.numbers[each] for each in places if each < len(self.numbers)]
        self.both(lambda spool, which: spool.settle([each[which] for each in some]))

    @rule(batch=st.lists(RESULTS, max_size=3))
    def bury(self, batch: list[CheckResult]) -> None:
        """Put something aside."""
        self.both(lambda spool, _: spool.bury(batch, reason="for a test"))

    @rule()
    def reopen(self) -> None:
        """Have the next process take it over; the numbers of what it never saw can come again."""
        self.both(lambda spool, _: spool.close())
        self.both(lambda spool, _: spool.open())
        waiting = self.both(lambda spool, _: spool.read(after=0))
        self.numbers = [(a.number, b.number) for a, b in zip(*waiting, strict=True)]

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.both(lambda spool, _: spool.close())


def test_spools() -> None:
    """Whatever is done to a spool, the fake and the files answer alike at every step."""
    with asyncio.Runner() as runner:
        run_state_machine_as_test(
            lambda: Spools(runner),
            settings=settings(max_examples=60, stateful_step_count=40, deadline=None),
        )
