"""One of many takes its turn."""

from __future__ import annotations

from datetime import timedelta

import pytest

from urlmon.errors import UnavailableError
from urlmon.services.turns import take_turn
from urlmon.testing.clock import FakeClock
from urlmon.testing.locks import InMemoryLocks
from urlmon.testing.state import InMemoryState

EVERY = timedelta(minutes=2)


class Work:
    """Counts how often it is done, and fails on demand."""

    def __init__(self) -> None:
        self.done = 0
        self.error: Exception | None = None

    async def __call__(self) -> None:
        """Do it."""
        if self.error is not None:
            raise self.error
        self.done += 1


@pytest.fixture
def state() -> InMemoryState:
    """The fakes' state."""
    return InMemoryState(clock=FakeClock())


@pytest.fixture
def work() -> Work:
    """What is done."""
    return Work()


async def test_one_turn_at_a_time(state: InMemoryState, work: Work) -> None:
    """Of many processes one works, and another one when the turn is over."""
    locks = InMemoryLocks(state)
    turns = [await take_turn(locks, "a", work, every=EVERY) for _ in range(3)]
    assert (turns, work.done) == ([True, False, False], 1)
    assert await take_turn(locks, "b", work, every=EVERY)
    state.clock.advance(EVERY)  # type: ignore[attr-defined]
    assert await take_turn(locks, "a", work, every=EVERY)
    assert work.done == 3


async def test_a_turn_that_fails_is_given_back(state: InMemoryState, work: Work) -> None:
    """The next process need not wait for the end of a turn that came to nothing."""
    locks = InMemoryLocks(state)
    work.error = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        await take_turn(locks, "a", work, every=EVERY)
    work.error = None
    assert await take_turn(locks, "a", work, every=EVERY)


async def test_without_locks_everybody_works(state: InMemoryState, work: Work) -> None:
    """A store that is down spares no work, and hides no failure of it."""
    locks = InMemoryLocks(state)
    with state.faults.fail("Locks.acquire", "Locks.release"):
        assert await take_turn(locks, "a", work, every=EVERY)
        assert await take_turn(locks, "a", work, every=EVERY)
        work.error = UnavailableError("memory", "x", "gone")
        with pytest.raises(UnavailableError, match="gone"):
            await take_turn(locks, "a", work, every=EVERY)
    assert work.done == 2


async def test_a_failure_is_told_though_the_turn_cannot_be_given_back(
    state: InMemoryState, work: Work
) -> None:
    """What the work raised is raised."""
    locks = InMemoryLocks(state)
    work.error = RuntimeError("broken")
    with state.faults.fail("Locks.release"), pytest.raises(RuntimeError, match="broken"):
        await take_turn(locks, "a", work, every=EVERY)
