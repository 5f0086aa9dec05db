"""Random programs on the outbox: the fake and the real adapter give the same answers."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
)
from tests.fixtures.twins import Twins, WorkingProgram, run_program

from urlmon.domain.alert_policy import AlertPolicy, FlapMarks
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.testing.builders import an_outcome
from urlmon.testing.clock import FakeClock
from urlmon.testing.outbox import InMemoryTransitionOutbox
from urlmon_adapters.redis._keys import bucket_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from urlmon.domain.alerting import Decision
    from urlmon.domain.check_results import CheckOutcome
    from urlmon.domain.transitions import ClaimedTransition, Transition
    from urlmon.testing.contracts.stores import WorkingStores

TENANT: Final = TenantId.new()
SPREAD: Final = [MonitorId.new() for _ in range(4)]
ONE_BUCKET: Final = [each for _ in range(400) if bucket_of(each := MonitorId.new()) == 3][:4]
MINUTE: Final = timedelta(minutes=1)
DEADLINES: Final = st.sampled_from([5, 15, 25]).map(lambda minutes: minutes * MINUTE)
POLICIES: Final = [
    AlertPolicy(failure_threshold=1, reminder_interval=interval, flapping=marks)
    for interval in (None, 35 * MINUTE)
    for marks in (None, FlapMarks(low=5, high=10))
]
NUMBERS: Final = st.integers(0, 3)


class Outbox(WorkingProgram):
    """Everything that can be done to the outbox."""

    def __init__(self, twins: Twins) -> None:
        super().__init__(twins)
        self.claims: list[tuple[ClaimedTransition, ClaimedTransition]] = []
        self.outcomes: dict[MonitorId, CheckOutcome] = {}
        self.made = 0
        fake = twins.stores[0].outbox
        assert isinstance(fake, InMemoryTransitionOutbox)
        clock = fake._state.clock
        assert isinstance(clock, FakeClock)
        self.begin = datetime.now(UTC)
        clock.advance(self.begin - clock.now())

    @initialize(spread=st.booleans(), policy=st.sampled_from(POLICIES))
    def choose(self, *, spread: bool, policy: AlertPolicy) -> None:
        """Let buckets differ, where a claim takes all; or not, so that its order is known."""
        self.monitors = SPREAD if spread else ONE_BUCKET
        self.limits = [100] if spread else [1, 2, 3, 100]
        self.policy = policy

    @rule(number=NUMBERS, repeat=st.booleans())
    def change(self, number: int, *, repeat: bool) -> None:
        """Turn a monitor, or repeat its newest outcome after all was forgotten."""
        monitor_id = self.monitors[number]
        last = self.outcomes.get(monitor_id)
        if repeat:
            self.twins.same(lambda stores: stores.alert_state.forget(TENANT, monitor_id))
        if last is None or not repeat:
            self.made += 1
            # So near to the beginning that what is due by it falls on no moment that is pushed to.
            last = an_outcome(
                TENANT,
                monitor_id,
                scheduled_at=self.begin + self.made * timedelta(milliseconds=1),
                success=last is not None and not last.success,
            )
            self.outcomes[monitor_id] = last
        outcome = last

        async def record(stores: WorkingStores) -> tuple[object, ...]:
            return _gist(await stores.alert_state.record(TENANT, outcome, policy=self.policy))

        self.twins.same(record)

    @rule(number=NUMBERS, minutes=st.none() | st.integers(0, 9))
    def suppress(self, number: int, minutes: int | None) -> None:
        """Begin or end a suppression."""
        until = None if minutes is None else self.begin + (10 * minutes + 5) * MINUTE

        async def suppress(stores: WorkingStores) -> str:
            key = TENANT, self.monitors[number]
            return (await stores.alert_state.suppress(*key, until=until)).status.value

        self.twins.same(suppress)

    @rule(number=NUMBERS)
    def acknowledge(self, number: int) -> None:
        """Take the open alert on, if there is one."""

        async def acknowledge(stores: WorkingStores) -> bool:
            key = TENANT, self.monitors[number]
            alert_id = (await stores.alert_state.get(*key)).open_alert
            if alert_id is None:
                return False
            return (await stores.alert_state.acknowledge(*key, alert_id=alert_id)).acknowledged

        self.twins.same(acknowledge)

    @rule(request=st.integers(0, 5), limit=st.integers(0), lease=DEADLINES)
    def claim(self, request: int, limit: int, lease: timedelta) -> None:
        """Claim, as a new request or as a repeat."""
        limit = self.limits[limit % len(self.limits)]
        answers = self.twins.ask(
            lambda stores: stores.outbox.claim(request_id=f"{request}", limit=limit, lease=lease)
        )
        assert answers is not None
        fake, real = ({each.transition.id: each for each in answer} for answer in answers)
        assert {key: each.attempt for key, each in fake.items()} == {
            key: each.attempt for key, each in real.items()
        }
        assert _by_monitor(fake.values()) == _by_monitor(real.values())
        self.claims += [(fake[key], real[key]) for key in fake]
        self.twins.advance(timedelta(milliseconds=1))  # no two claims are at the same moment

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
        self.twins.same(lambda stores: stores.outbox.on_the_way(TENANT, self.monitors))
        answers = self.twins.ask(lambda stores: stores.outbox.dead_letters(limit=1_000))
        assert answers is not None
        fake, real = (
            {each.transition.id: (_facts(each.transition), each.attempts) for each in answer}
            for answer in answers
        )
        assert fake == real


def _by_monitor(claims: Iterable[ClaimedTransition]) -> dict[MonitorId, list[object]]:
    """Return what was claimed in its order, which is promised for each monitor only."""
    found: defaultdict[MonitorId, list[object]] = defaultdict(list)
    for claimed in claims:
        found[claimed.transition.monitor_id].append(_facts(claimed.transition))
    return dict(found)


def _facts(transition: Transition) -> Transition:
    """Return what both must say of a transition: all, but the moment where time decided it."""
    return (
        transition
        if transition.location
        else evolve(transition, at=datetime(2000, 1, 1, tzinfo=UTC))
    )


def _gist(decision: Decision) -> tuple[object, ...]:
    """Return what both must decide: all, but the moment of the newest notification."""
    return decision.kind, decision.transition, evolve(decision.state, notified_at=None)


def test_outbox(redis_url: str) -> None:
    """Whatever is done to the outbox, the fake and Redis answer alike at every step."""
    run_program(Outbox, redis_url, examples=20)
