"""Random programs on the outbox: the fake and the real adapter give the same answers."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)
from tests.fixtures.twins import Twins, run_program

from urlmon.domain.alerting import AlertPolicy
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.testing.builders import an_outcome
from urlmon.testing.clock import NOON
from urlmon_adapters.redis._keys import bucket_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from urlmon.domain.alerting import Transition
    from urlmon.domain.transitions import ClaimedTransition

TENANT: Final = TenantId.new()
SPREAD: Final = [MonitorId.new() for _ in range(4)]
ONE_BUCKET: Final = [each for _ in range(400) if bucket_of(each := MonitorId.new()) == 3][:4]
MINUTE: Final = timedelta(minutes=1)
# No deadline ever falls on a moment that is pushed to, so that a slow test cannot miss it.
PUSHES: Final = st.sampled_from([10, 20, 40]).map(lambda minutes: minutes * MINUTE)
DEADLINES: Final = st.sampled_from([5, 15, 25]).map(lambda minutes: minutes * MINUTE)


class Outbox(RuleBasedStateMachine):
    """Everything that can be done to the outbox."""

    def __init__(self, twins: Twins) -> None:
        super().__init__()
        self.twins = twins
        self.claims: list[tuple[ClaimedTransition, ClaimedTransition]] = []
        self.minutes: defaultdict[MonitorId, int] = defaultdict(int)

    @initialize(spread=st.booleans())
    def choose(self, *, spread: bool) -> None:
        """Let buckets differ, where a claim takes all; or not, so that its order is known."""
        self.monitors = SPREAD if spread else ONE_BUCKET
        self.limits = [100] if spread else [1, 2, 3, 100]

    @rule(number=st.integers(0, 3), repeat=st.booleans())
    def change(self, number: int, *, repeat: bool) -> None:
        """Make a monitor's next transition, or its newest once more after all was forgotten."""
        monitor_id = self.monitors[number]
        if repeat:
            self.twins.same(lambda stores: stores.alert_state.forget(TENANT, monitor_id))
        else:
            self.minutes[monitor_id] += 1
        minute = self.minutes[monitor_id]
        outcome = an_outcome(
            TENANT, monitor_id, scheduled_at=NOON + minute * MINUTE, success=minute % 2 == 0
        )
        policy = AlertPolicy(failure_threshold=1)
        self.twins.same(lambda stores: stores.alert_state.record(TENANT, outcome, policy=policy))

    @rule(request=st.integers(0, 5), limit=st.integers(0), lease=DEADLINES)
    def claim(self, request: int, limit: int, lease: timedelta) -> None:
        """Claim, as a new request or as a repeat."""
        limit = self.limits[limit % len(self.limits)]
        answers = self.twins.ask(
            lambda stores: stores.outbox.claim(request_id=f"{request}", limit=limit, lease=lease)
        )
        assert answers is not None
        fake, real = ({each.transition.id: each for each in answer} for answer in answers)
        assert {key: (each.transition, each.attempt) for key, each in fake.items()} == {
            key: (each.transition, each.attempt) for key, each in real.items()
        }
        assert _by_monitor(fake.values()) == _by_monitor(real.values())
        self.claims += [(fake[key], real[key]) for key in fake]

    @precondition(lambda self: self.claims)
    @rule(number=st.integers(0))
    def settle(self, number: int) -> None:
        """Settle one of the newest claims, whatever became of it."""
        fake, real = self.claims[-1 - number % min(len(self.claims), 8)]
        self.twins.same(
            lambda stores: stores.outbox.settle(fake if stores is self.twins.stores[0] else real)
        )

    @precondition(lambda self: self.claims)
    @rule(number=st.integers(0), delay=DEADLINES | st.just(timedelta(0)))
    def release(self, number: int, delay: timedelta) -> None:
        """Release one of the newest claims, whatever became of it."""
        fake, real = self.claims[-1 - number % min(len(self.claims), 8)]
        self.twins.same(
            lambda stores: stores.outbox.release(
                fake if stores is self.twins.stores[0] else real, delay=delay
            )
        )

    @rule(duration=PUSHES)
    def advance(self, duration: timedelta) -> None:
        """Let time pass."""
        self.twins.advance(duration)

    @rule(request=st.integers(0, 5), times=st.integers(1, 9))
    def wear_out(self, request: int, times: int) -> None:
        """Claim and let the leases end, again and again."""
        for _ in range(times):
            self.claim(request, len(self.limits) - 1, 5 * MINUTE)
            self.advance(10 * MINUTE)

    @rule()
    def compare(self) -> None:
        """What is waiting, and what was given up, are the same."""
        self.twins.same(lambda stores: stores.outbox.backlog())
        answers = self.twins.ask(lambda stores: stores.outbox.dead_letters(limit=1_000))
        assert answers is not None
        fake, real = (
            {each.transition.id: (each.transition, each.attempts) for each in answer}
            for answer in answers
        )
        assert fake == real

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.twins.close()


def _by_monitor(claims: Iterable[ClaimedTransition]) -> dict[MonitorId, list[Transition]]:
    """Return what was claimed in its order, which is promised for each monitor only."""
    found: defaultdict[MonitorId, list[Transition]] = defaultdict(list)
    for claimed in claims:
        found[claimed.transition.monitor_id].append(claimed.transition)
    return dict(found)


def test_outbox(redis_url: str) -> None:
    """Whatever is done to the outbox, the fake and Redis answer alike at every step."""
    run_program(Outbox, redis_url, examples=20)
