"""What is told of a monitor although no outcome comes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve
from tests.unit.alerting_steps import MONITOR, ONE, TENANT, at, kinds, outcome, run

from urlmon.domain._validators import EARLIEST
from urlmon.domain.alert_policy import FlapMarks
from urlmon.domain.alert_state import UNKNOWN, AlertState, MonitorStatus, Owed
from urlmon.domain.alerting import decide
from urlmon.domain.ids import AlertId
from urlmon.domain.owed import last_words, tell_owed
from urlmon.domain.transitions import Transition, TransitionKind

HOUR = timedelta(hours=1)
REMINDING = evolve(ONE, reminder_interval=HOUR)
DOWN = run("-", REMINDING)[-1].state
OPEN = DOWN.open_alert


def told(
    state: AlertState, minute: float, *, busy: bool = False
) -> tuple[AlertState, Transition | None]:
    return tell_owed(state, TENANT, MONITOR, now=at(minute), busy=busy)


class TestReminders:
    def test_one_for_each_period(self) -> None:
        """Each is due one interval after the one before, and has the next number."""
        state, made = DOWN, []
        for minute in range(0, 250, 10):
            state, transition = told(state, minute)
            if transition is not None:
                made.append((minute, transition.id))
            assert told(state, minute) == (state, None)
        assert made == [(60 * n, f"{OPEN}:reminder:{n}") for n in (1, 2, 3, 4)]
        assert state.reminders == 4

    def test_what_it_says(self) -> None:
        """It is of the open alert, and says why that is open now."""
        state = decide(DOWN, outcome(1, success=False, cause="dns: x"), REMINDING).state
        assert told(state, 60)[1] == Transition(
            tenant_id=TENANT,
            monitor_id=MONITOR,
            alert_id=OPEN or AlertId.new(),
            kind=TransitionKind.REMINDER,
            number=1,
            rule="availability",
            at=at(60),
            cause="dns: x",
        )

    def test_one_at_a_time(self) -> None:
        """While the trigger or a reminder waits none is added; the next is due a period later."""
        state, transition = told(DOWN, 70, busy=True)
        assert transition is None
        assert state.reminders == 0
        assert state.owed == Owed(TransitionKind.REMINDER, at(130))
        _, transition = told(state, 130)
        assert transition is not None
        assert transition.number == 1

    def test_the_end_counts_them(self) -> None:
        """A resolve says how many there were, and the next alert counts anew."""
        state = told(told(DOWN, 60)[0], 120)[0]
        resolved = decide(state, outcome(121, success=True), REMINDING)
        assert resolved.transition is not None
        assert resolved.transition.number == 2
        assert resolved.state.owed is None
        again = decide(resolved.state, outcome(122, success=False), REMINDING).state
        assert (again.reminders, again.notified_at) == (0, at(122))

    @pytest.mark.parametrize(
        "fields",
        [
            {"acknowledged": True},
            {"policy": ONE},
            {"policy": None},
            {"notified_at": None},
            {"status": MonitorStatus.FLAPPING, "flapping": AlertId.new()},
        ],
        ids=lambda fields: next(iter(fields)),
    )
    def test_none(self, fields: dict[str, object]) -> None:
        """None is due of what was taken on, of what flaps, and where none is asked for."""
        state = evolve(DOWN, **fields)
        assert state.owed is None
        assert told(state, 9999) == (state, None)

    def test_suppression(self) -> None:
        """While it lasts none is due, and at its end the one that was."""
        for until, due in ((30, 60), (90, 90)):
            state = evolve(DOWN, suppressed_until=at(until))
            assert state.owed == Owed(TransitionKind.REMINDER, at(due))

    def test_a_changed_interval(self) -> None:
        """The next outcome brings it, and the next reminder goes by it."""
        sooner = evolve(REMINDING, reminder_interval=HOUR / 2)
        state = decide(DOWN, outcome(1, success=False), sooner).state
        assert state.owed == Owed(TransitionKind.REMINDER, at(30))
        assert decide(state, outcome(2, success=False), ONE).state.owed is None


class TestHeldTriggers:
    def test_without_an_outcome(self) -> None:
        """A monitor that is down when its suppression ends triggers by the time of the store."""
        quiet = evolve(UNKNOWN, suppressed_until=at(10))
        decisions = run("---", REMINDING, state=quiet)
        assert kinds(decisions) == "..."
        state = decisions[-1].state
        assert told(state, 9.9) == (state, None)
        state, transition = told(state, 10)
        assert transition is not None
        assert transition.kind is TransitionKind.TRIGGERED
        assert (transition.at, transition.location) == (at(10), None)
        assert transition.alert_id == decisions[0].state.held_alert == state.open_alert
        assert state.owed == Owed(TransitionKind.REMINDER, at(70))
        assert kinds(run("-+", REMINDING, state=state, start=11)) == ".R"
        again = decide(state, outcome(2, success=False), REMINDING)
        assert again.transition is None, "no outcome made it"

    def test_a_suppression_that_ends_early(self) -> None:
        """What it held is due at once."""
        state = run("-", ONE, state=evolve(UNKNOWN, suppressed_until=at(10)))[-1].state
        assert evolve(state, suppressed_until=None).owed == Owed(TransitionKind.TRIGGERED, EARLIEST)

    def test_what_recovered(self) -> None:
        """A monitor that is up again has nothing to tell."""
        state = run("-+", ONE, state=evolve(UNKNOWN, suppressed_until=at(10)))[-1].state
        assert (state.owed, state.held_alert) == (None, None)

    def test_an_outcome_that_comes_first(self) -> None:
        """The first outcome afterwards triggers too, and then nothing is held any more."""
        state = run("--", ONE, state=evolve(UNKNOWN, suppressed_until=at(1)))[-1].state
        assert state.open_alert is not None
        assert (state.owed, state.held_alert) == (None, None)


class TestAfterFlapping:
    def test_at_once(self) -> None:
        """What flapping held is told without another outcome."""
        marked = evolve(ONE, flapping=FlapMarks())
        down = run("-+-+-+-" + "-" * 16, marked)[-1].state
        state, transition = told(down, 23)
        assert transition is not None
        assert transition.kind is TransitionKind.TRIGGERED
        assert state.open_alert == transition.alert_id
        up = run("+-+-+-+" + "+" * 16, marked)[-1].state
        state, transition = told(up, 23)
        assert transition is not None
        assert (transition.kind, transition.cause) == (TransitionKind.RESOLVED, "")
        assert transition.alert_id == up.open_alert
        assert state.open_alert is None


class TestLastWords:
    def test_ends_of_what_is_open(self) -> None:
        """An alert and an episode of flapping end with the state."""
        flapping = AlertId.new()
        state = evolve(DOWN, reminders=3, status=MonitorStatus.FLAPPING, flapping=flapping)
        stable, resolved = last_words(state, TENANT, MONITOR, now=at(9))
        assert (stable.kind, stable.alert_id) == (TransitionKind.STABLE, flapping)
        assert (resolved.kind, resolved.alert_id) == (TransitionKind.RESOLVED, OPEN)
        assert (resolved.number, resolved.at, resolved.location) == (3, at(9), None)
        assert last_words(UNKNOWN, TENANT, MONITOR, now=at(9)) == ()
