"""Random programs on the schedule: the fake and the real adapter give the same answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.fixtures.twins import Twins, run_program

from urlmon.domain.alerting import AlertPolicy
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.scheduling import Grid, ScheduleEntry
from urlmon.testing.builders import an_outcome
from urlmon.testing.clock import FakeClock
from urlmon.testing.schedule import InMemorySchedule
from urlmon_adapters.redis._keys import bucket_of

if TYPE_CHECKING:
    from urlmon.domain.alerting import Decision
    from urlmon.domain.scheduling import ClaimedCheck
    from urlmon.testing.contracts.stores import WorkingStores

TENANT: Final = TenantId.new()
SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
POLICY: Final = AlertPolicy(failure_threshold=1)
# The program begins at a full hour and is pushed by steps of ten minutes.  Slots fall into the
# third minute of each, leases and delays end in the sixth and seventh: nothing happens at a moment
# that is pushed to, so that a slow test cannot miss it.
STEP: Final = 10 * MINUTE
IDS: Final = [
    monitor_id
    for number in range(1, 2_000)
    if 2 * MINUTE < Grid.of(monitor_id := MonitorId(f"{number:032x}"), STEP).phase < 3 * MINUTE
]
SPREAD: Final = IDS[:4]
ONE_BUCKET: Final = [each for each in IDS if bucket_of(each) == 3][:4]
INTERVALS: Final = st.sampled_from([1, 3, 6]).map(lambda steps: steps * STEP)
DEADLINES: Final = st.sampled_from([0, 1, 2]).map(lambda steps: steps * STEP + 5 * MINUTE)
NUMBERS: Final = st.integers(0, 3)
PLACES: Final = ("lima", "oslo", "paris")
WHERE: Final = [PLACES[:1], PLACES[:2], PLACES[1:], PLACES]
VERSIONS: Final = st.integers(1, 5)


class ScheduleProgram(RuleBasedStateMachine):
    """Everything that can be done to the schedule."""

    def __init__(self, twins: Twins) -> None:
        super().__init__()
        self.twins = twins
        self.claims: list[tuple[ClaimedCheck, ClaimedCheck]] = []
        self.calls = 0
        fake = twins.stores[0].schedule
        assert isinstance(fake, InMemorySchedule)
        clock = fake._state.clock
        assert isinstance(clock, FakeClock)
        now = datetime.now(UTC)
        clock.advance(now - clock.now())
        twins.advance(6 * STEP - (now - datetime(1970, 1, 1, tzinfo=UTC)) % (6 * STEP))

    @initialize(spread=st.booleans())
    def choose(self, *, spread: bool) -> None:
        """Let buckets differ, where a claim takes all; or not, so that its order is known."""
        self.monitors = SPREAD if spread else ONE_BUCKET
        self.limits = [100] if spread else [1, 2, 100]

    @rule(
        number=NUMBERS,
        interval=INTERVALS,
        places=st.sampled_from(WHERE),
        version=VERSIONS,
        at_once=st.booleans(),
    )
    def upsert(
        self,
        number: int,
        interval: timedelta,
        places: tuple[str, ...],
        version: int,
        *,
        at_once: bool,
    ) -> None:
        """Bring a version in, newer or older."""
        key = TENANT, self.monitors[number]
        self.twins.same(
            lambda stores: stores.schedule.upsert(
                *key, interval=interval, locations=places, version=version, at_once=at_once
            )
        )
        self.twins.advance(SECOND)  # so that no two are due since the same moment

    @rule(
        numbers=st.lists(NUMBERS),
        interval=INTERVALS,
        places=st.sampled_from(WHERE),
        version=VERSIONS,
    )
    def seed(
        self, numbers: list[int], interval: timedelta, places: tuple[str, ...], version: int
    ) -> None:
        """Bring several in, perhaps one of them twice."""
        entries = [
            ScheduleEntry(
                tenant_id=TENANT,
                monitor_id=self.monitors[number],
                interval=interval,
                locations=places,
                version=version,
            )
            for number in numbers
        ]
        self.twins.same(lambda stores: stores.schedule.seed(entries))

    @rule(number=NUMBERS)
    def remove(self, number: int) -> None:
        """Take one off."""
        self.twins.same(lambda stores: stores.schedule.remove(TENANT, self.monitors[number]))

    @rule(
        request=st.integers(0, 5),
        place=st.sampled_from(PLACES),
        limit=st.integers(0),
        lease=DEADLINES,
    )
    def claim(self, request: int, place: str, limit: int, lease: timedelta) -> None:
        """Claim, as a new request or as a repeat."""
        limit, lease = self.limits[limit % len(self.limits)], self._unlike_any(lease)
        answers = self.twins.ask(
            lambda stores: stores.schedule.claim(
                request_id=f"{request}", location=place, limit=limit, lease=lease
            )
        )
        if answers is None:
            return  # what was lost is not repaired
        assert len(answers[0]) == len(answers[1])
        for fake, real in zip(*answers, strict=True):
            assert _facts(fake) == _facts(real)
            assert abs(fake.scheduled_at - real.scheduled_at) < MINUTE
            assert abs(fake.leased_until - real.leased_until) < MINUTE
            self.claims.append((fake, real))

    @precondition(lambda self: self.claims)
    @rule(numbers=st.lists(st.integers(0), max_size=4), lease=DEADLINES)
    def renew(self, numbers: list[int], lease: timedelta) -> None:
        """Renew some of the newest claims, whatever became of them."""
        pairs, lease = [self._claim(number) for number in numbers], self._unlike_any(lease)
        answers = self.twins.ask(
            lambda stores: stores.schedule.renew(
                [pair[self._which(stores)] for pair in pairs], lease=lease
            )
        )
        assert answers is not None
        assert [_facts(each) for each in answers[0]] == [_facts(each) for each in answers[1]]

    @precondition(lambda self: self.claims)
    @rule(number=st.integers(0), success=st.booleans() | st.none())
    def complete(self, number: int, success: bool | None) -> None:  # noqa: FBT001
        """Complete one of the newest claims, whatever became of it, with an outcome or without."""
        pair = self._claim(number)

        async def complete(stores: WorkingStores) -> tuple[object, ...] | None:
            claimed = pair[self._which(stores)]
            if success is None:
                assert await stores.schedule.complete(claimed) is None
                return None
            outcome = an_outcome(
                TENANT,
                claimed.monitor_id,
                location=claimed.location,
                scheduled_at=claimed.scheduled_at,
                success=success,
            )
            decision = await stores.schedule.complete(claimed, outcome=outcome, policy=POLICY)
            return _gist(decision)

        self.twins.same(complete)

    @precondition(lambda self: self.claims)
    @rule(number=st.integers(0), delay=DEADLINES)
    def release(self, number: int, delay: timedelta) -> None:
        """Release one of the newest claims, whatever became of it."""
        pair, delay = self._claim(number), self._unlike_any(delay)
        self.twins.same(
            lambda stores: stores.schedule.release(pair[self._which(stores)], delay=delay)
        )

    @rule(steps=st.sampled_from([1, 2, 4, 13]))
    def advance(self, steps: int) -> None:
        """Let time pass."""
        self.twins.advance(steps * STEP)

    @precondition(lambda self: self.calls > 15)
    @rule()
    def lose(self) -> None:
        """Lose everything."""
        self.twins.lose()

    @rule()
    def repair(self) -> None:
        """Declare whole what was lost, if it was."""
        self.twins.repair()

    @rule(place=st.sampled_from(PLACES))
    def compare(self, place: str) -> None:
        """What is scheduled and due is the same, and so are the transitions that wait."""
        answers = self.twins.ask(lambda stores: stores.schedule.backlog(location=place))
        assert answers is not None
        fake, real = answers
        assert (fake.scheduled, fake.due) == (real.scheduled, real.due)
        assert abs(fake.lateness - real.lateness) < MINUTE
        self.twins.same(lambda stores: stores.outbox.backlog())

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.twins.close()

    def _claim(self, number: int) -> tuple[ClaimedCheck, ClaimedCheck]:
        return self.claims[-1 - number % min(len(self.claims), 6)]

    def _which(self, stores: WorkingStores) -> int:
        return self.twins.stores.index(stores)

    def _unlike_any(self, duration: timedelta) -> timedelta:
        """Make a duration longer, so that no two end at the same moment."""
        self.calls += 1
        return duration + self.calls * SECOND


def _facts(claimed: ClaimedCheck) -> tuple[object, ...]:
    """Return what both must say of a claim."""
    return (
        claimed.tenant_id,
        claimed.monitor_id,
        claimed.location,
        claimed.version,
        claimed.attempt,
    )


def _gist(decision: Decision | None) -> tuple[object, ...]:
    """Return what both must decide, but the moments."""
    assert decision is not None
    transition = decision.transition
    return decision.kind, decision.state.status, transition and transition.kind


def test_schedule(redis_url: str) -> None:
    """Whatever is done to the schedule, the fake and Redis answer alike at every step."""
    run_program(ScheduleProgram, redis_url, examples=40)
