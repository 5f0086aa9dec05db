"""Outcomes of several locations, repeated, late or suppressed, and any program of them."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.alerting_steps import DOWN, ONE, at, kinds, outcome, run

from urlmon.domain.alert_policy import AlertPolicy, FlapMarks
from urlmon.domain.alert_state import UNKNOWN, LocationState, MonitorStatus
from urlmon.domain.alerting import Decision, DecisionKind, decide
from urlmon.domain.transitions import TransitionKind


class TestLocations:
    def test_streaks_are_counted_for_each_location(self) -> None:
        """Failures here and there are no failures in a row."""
        state = UNKNOWN
        for minute, location in enumerate(("eu", "us", "ap")):
            state = decide(
                state, outcome(minute, success=False, location=location), AlertPolicy()
            ).state
        assert state.status is MonitorStatus.UNKNOWN
        assert [place.location for place in state.locations] == ["ap", "eu", "us"]
        assert {place.failures for place in state.locations} == {1}

    @pytest.mark.parametrize("quorum", [1, 2, 3])
    def test_quorum(self, quorum: int) -> None:
        """The monitor is down from the location that completes the quorum to the first missing."""
        policy = AlertPolicy(failure_threshold=1, quorum=quorum)
        places = ("a", "b", "c")
        steps = [(place, False) for place in places] + [(place, True) for place in places]
        state, seen = UNKNOWN, ""
        for minute, (place, success) in enumerate(steps):
            decision = decide(state, outcome(minute, success=success, location=place), policy)
            seen += kinds([decision])
            state = decision.state
            assert (state.status is DOWN) is (state.open_alert is not None)
        expected = ["."] * 6
        expected[quorum - 1], expected[6 - quorum] = "T", "R"
        assert seen == "".join(expected)

    def test_locations_need_not_be_in_step(self) -> None:
        """Each location has its own watermark: one may lag behind another."""
        state = decide(UNKNOWN, outcome(10, success=True, location="eu"), ONE).state
        decision = decide(state, outcome(3, success=False, location="us"), ONE)
        assert decision.kind is DecisionKind.APPLIED
        assert decision.transition is not None
        place = decision.state.location("us")
        assert place == LocationState(location="us", watermark=at(3), failures=1, failing=True)
        assert decision.state.location("nowhere") is None

    def test_an_end_may_be_due_before_the_beginning(self) -> None:
        """The outcome that breaks the quorum can be an earlier one, of a location that lags."""
        policy = AlertPolicy(failure_threshold=1, quorum=2)
        state = decide(UNKNOWN, outcome(0, success=False, location="us"), policy).state
        triggered = decide(state, outcome(10, success=False, location="eu"), policy)
        assert kinds([triggered]) == "T"
        resolved = decide(triggered.state, outcome(5, success=True, location="us"), policy)
        assert kinds([resolved]) == "R"
        assert resolved.transition is not None
        assert resolved.transition.at == at(5)

    def test_one_healthy_location_does_not_clear_a_down_monitor(self) -> None:
        """While another still fails the alert stays open."""
        state = decide(UNKNOWN, outcome(0, success=False, location="us"), ONE).state
        decision = decide(state, outcome(1, success=True, location="eu"), ONE)
        assert decision.state.status is DOWN
        assert decision.transition is None

    def test_a_location_that_is_not_of_the_policy(self) -> None:
        """It is not counted, and neither is what was known of it."""
        two = AlertPolicy(failure_threshold=2, locations=("eu", "us"))
        one = evolve(two, locations=("us",))
        decision = run("--", two)[-1]
        assert kinds([decision]) == "T"
        late = decide(decision.state, outcome(2, success=True, location="ap"), two)
        assert late == Decision(kind=DecisionKind.FOREIGN, state=decision.state)
        decision = decide(decision.state, outcome(0, success=False, location="us"), one)
        assert kinds([decision]) == "R", "what still counts is not failing yet"
        assert [place.location for place in decision.state.locations] == ["us"]
        for at_minute in (0, 5):
            again = decide(decision.state, outcome(at_minute, success=False), one)
            assert again == Decision(kind=DecisionKind.FOREIGN, state=decision.state)

    def test_the_quorum_can_be_reached(self) -> None:
        """A quorum above the number of locations is all of them."""
        policy = AlertPolicy(failure_threshold=1, quorum=3, locations=("eu", "us"))
        assert policy.needed == 2
        assert evolve(policy, quorum=1).needed == 1
        assert evolve(policy, locations=None).needed == 3
        state = decide(UNKNOWN, outcome(0, success=False, location="eu"), policy).state
        decision = decide(state, outcome(0, success=False, location="us"), policy)
        assert kinds([decision]) == "T"
        alone = evolve(policy, locations=("us",))
        assert decide(state, outcome(0, success=False, location="us"), alone).state.down


class TestVersions:
    def test_an_older_policy_is_not_applied(self) -> None:
        """Who has not read the newest configuration flips nothing, and its outcomes count."""
        new = AlertPolicy(failure_threshold=3, version=2)
        begun = run("+", new)[-1].state
        for policy in (evolve(ONE, version=1), ONE):
            decisions = run("---", policy, state=begun, start=1)
            assert kinds(decisions) == "..T"
            assert decisions == run("---", new, state=begun, start=1)
            assert decisions[-1].state.policy == new

    def test_a_policy_of_the_same_version_is(self) -> None:
        """What has no newer version is applied as it is given."""
        state = run("-", AlertPolicy(version=1))[-1].state
        three = AlertPolicy(failure_threshold=3, version=1)
        assert kinds(run("-", three, state=state, start=1)) == "."
        decision = run("-", AlertPolicy(failure_threshold=2, version=2), state=state, start=1)[-1]
        assert kinds([decision]) == "T"
        assert decision.state.policy == AlertPolicy(version=2)

    def test_the_episode_has_the_id_that_the_caller_derives(self) -> None:
        """The script cannot derive ids: the policy of the caller decides, applied or not."""
        state = run("+", AlertPolicy(failure_threshold=1, rule="latency", version=2))[-1].state
        mine, theirs = (
            decide(state, outcome(1, success=False), AlertPolicy(rule=rule)).transition
            for rule in ("availability", "latency")
        )
        assert mine is not None
        assert theirs is not None
        assert mine.rule == theirs.rule == "latency"
        assert mine.alert_id != theirs.alert_id


class TestRepeats:
    def test_a_duplicate_names_its_transition(self) -> None:
        """The outcome applied last changes nothing again, and says what it made the first time."""
        first = run("-", ONE)[-1]
        again = decide(first.state, outcome(0, success=False), ONE)
        assert again == Decision(
            kind=DecisionKind.DUPLICATE, state=first.state, transition=first.transition
        )

    def test_a_duplicate_without_a_transition(self) -> None:
        """An outcome that made no transition has none when it is repeated."""
        for pattern in ("+", "--", "-+-+--"):
            state = run(pattern, AlertPolicy(failure_threshold=1, recovery_threshold=2))[-1].state
            again = decide(state, outcome(len(pattern) - 1, success=pattern[-1] == "+"), ONE)
            assert again == Decision(kind=DecisionKind.DUPLICATE, state=state)

    def test_a_duplicate_of_another_location(self) -> None:
        """A transition belongs to the location that decided it, at the same instant too."""
        policy = AlertPolicy(failure_threshold=1, quorum=2)
        state = decide(UNKNOWN, outcome(0, success=False, location="us"), policy).state
        triggered = decide(state, outcome(0, success=False, location="eu"), policy)
        for location, transition in (("us", None), ("eu", triggered.transition)):
            again = decide(triggered.state, outcome(0, success=False, location=location), policy)
            assert again.kind is DecisionKind.DUPLICATE
            assert again.transition == transition

    def test_a_stale_outcome_changes_nothing(self) -> None:
        """One that was due before the newest of its location is too late, and says so."""
        state = run("+-+", ONE)[-1].state
        for minute in (1, 0, -1, 1.999):
            for success in (False, True):
                decision = decide(state, outcome(minute, success=success), ONE)
                assert decision == Decision(kind=DecisionKind.STALE, state=state)


class TestSuppression:
    def test_no_alert_begins_before_its_end(self) -> None:
        """Down but suppressed, a monitor triggers at its first outcome from the end on."""
        quiet = evolve(UNKNOWN, suppressed_until=at(3))
        decisions = run("-----", ONE, state=quiet)
        assert kinds(decisions) == "...T."
        assert [each.state.status for each in decisions] == [DOWN] * 5
        assert decisions[3].state.since == at(0)
        assert decisions[3].transition is not None
        assert decisions[3].transition.at == at(3)

    def test_what_recovered_meanwhile_never_triggers(self) -> None:
        """A monitor that is up again when the suppression ends has no alert."""
        assert kinds(run("--+++", ONE, state=evolve(UNKNOWN, suppressed_until=at(3)))) == "....."

    def test_an_open_alert_ends_during_it(self) -> None:
        """Suppression keeps alerts from beginning, not from ending."""
        state = evolve(run("-", ONE)[-1].state, suppressed_until=at(99))
        assert kinds(run("-+-+", ONE, state=state, start=1)) == ".R.."

    def test_a_success_elsewhere_can_trigger(self) -> None:
        """The first outcome afterwards decides whatever it says, with the newest cause."""
        state = evolve(UNKNOWN, suppressed_until=at(1))
        state = decide(state, outcome(0, success=False, location="us", cause="dns: x"), ONE).state
        decision = decide(state, outcome(1, success=True, location="eu"), ONE)
        assert decision.transition is not None
        assert (decision.transition.cause, decision.transition.location) == ("dns: x", "eu")


OUTCOMES = st.lists(
    st.builds(
        lambda minute, success, place: outcome(minute, success=success, location=place),
        st.integers(0, 30),
        st.booleans(),
        st.sampled_from(["a", "b", "c"]),
    ),
    max_size=60,
)
POLICIES = st.builds(
    AlertPolicy,
    failure_threshold=st.integers(1, 3),
    recovery_threshold=st.integers(1, 3),
    quorum=st.integers(1, 3),
    flapping=st.none() | st.builds(FlapMarks, low=st.just(5), high=st.integers(6, 20)),
)


@given(OUTCOMES, POLICIES, st.none() | st.integers(0, 30))
def test_what_holds_for_every_program(
    outcomes: list[Any], policy: AlertPolicy, suppressed: int | None
) -> None:
    """Alerts begin and end in turn, each while the monitor is down, whatever arrives."""
    state = evolve(UNKNOWN, suppressed_until=None if suppressed is None else at(suppressed))
    open_alert = flapping = None
    for each in outcomes:
        decision = decide(state, each, policy)
        if decision.kind is not DecisionKind.APPLIED:
            assert decision.state is state
            continue
        state = decision.state
        place = state.location(each.location)
        assert place is not None
        assert place.watermark == each.scheduled_at
        assert (place.failures == 0) is not (place.successes == 0)
        failing = sum(each.failing for each in state.locations)
        assert state.down == (failing >= policy.quorum)
        if decision.transition is not None:
            assert state.last_transition == decision.transition
            kind, episode = decision.transition.kind, decision.transition.alert_id
            if kind in {TransitionKind.FLAPPING, TransitionKind.STABLE}:
                assert episode == (state.flapping or flapping)
                assert (kind is TransitionKind.FLAPPING) is (flapping is None)
                flapping = state.flapping
            else:
                assert flapping is None
                began = kind is TransitionKind.TRIGGERED
                assert began is (open_alert is None)
                assert episode == (state.open_alert if began else open_alert)
                open_alert = episode if began else None
        assert (state.open_alert, state.flapping) == (open_alert, flapping)
        assert flapping or open_alert is None or state.down or kinds([decision]) == "S"
        again = decide(state, each, policy)
        assert again == Decision(
            kind=DecisionKind.DUPLICATE, state=state, transition=decision.transition
        )
