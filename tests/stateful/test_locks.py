"""Random programs on locks: the fake and the real adapter give the same answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.fixtures.twins import Twins, WorkingProgram, run_program

if TYPE_CHECKING:
    from urlmon.domain.leases import Lease

MINUTE: Final = timedelta(minutes=1)
NAMES: Final = st.sampled_from(["a", "a}", "{a}"])
TTLS: Final = st.sampled_from([5, 15, 25, 55]).map(lambda minutes: minutes * MINUTE)


class LocksProgram(WorkingProgram):
    """Everything that can be done to locks without waiting."""

    def __init__(self, twins: Twins) -> None:
        super().__init__(twins)
        self.leases: list[tuple[Lease, Lease]] = []
        self.fences: dict[tuple[str, int], int] = {}

    @rule(name=NAMES, ttl=TTLS)
    def acquire(self, name: str, ttl: timedelta) -> None:
        """Ask for a name: both have it to give, or both not, and the fences grow."""
        answers = self.twins.ask(lambda stores: stores.locks.acquire(name, ttl=ttl))
        assert answers is not None
        fake, real = answers
        assert (fake is None) is (real is None)
        if fake is None or real is None:
            return
        for which, lease in enumerate((fake, real)):
            assert lease.name == name
            assert lease.fence > self.fences.get((name, which), 0)
            self.fences[name, which] = lease.fence
        self.leases.append((fake, real))

    @precondition(lambda self: self.leases)
    @rule(number=st.integers(0), ttl=TTLS)
    def renew(self, number: int, ttl: timedelta) -> None:
        """Renew one of the newest leases, whatever became of it."""
        fake, real = self.leases[-1 - number % min(len(self.leases), 4)]
        answers = self.twins.ask(
            lambda stores: stores.locks.renew(
                fake if stores is self.twins.stores[0] else real, ttl=ttl
            )
        )
        if answers is not None:
            for renewed, lease in zip(answers, (fake, real), strict=True):
                assert (renewed.name, renewed.token) == (lease.name, lease.token)
                assert renewed.fence == lease.fence

    @precondition(lambda self: self.leases)
    @rule(number=st.integers(0))
    def release(self, number: int) -> None:
        """Release one of the newest leases, whatever became of it."""
        fake, real = self.leases[-1 - number % min(len(self.leases), 4)]
        self.twins.same(
            lambda stores: stores.locks.release(fake if stores is self.twins.stores[0] else real)
        )


def test_locks(redis_url: str) -> None:
    """Whatever is done to locks, the fake and Redis answer alike at every step."""
    run_program(LocksProgram, redis_url)
