"""A monitor that changes too often flaps, and is told of once."""

from __future__ import annotations

import pytest
from attrs import evolve
from tests.unit.alerting_steps import DOWN, ONE, at, kinds, outcome, run

from urlmon.domain.alert_policy import WINDOW, AlertPolicy, FlapMarks, weigh
from urlmon.domain.alert_state import UNKNOWN, MonitorStatus
from urlmon.domain.alerting import decide
from urlmon.domain.transitions import TransitionKind

FLAPPING = MonitorStatus.FLAPPING
MARKED = evolve(ONE, flapping=FlapMarks())
QUIET = "+" * 16  # so long that the share falls to the low mark


def nagios_share(changes: int) -> float:
    """Return the percentage as Nagios Core works it out, oldest first, in its own numbers."""
    curved, low, high = 0.0, 0.75, 1.25
    for place in range(20):
        if changes >> (19 - place) & 1:
            curved += place * (high - low) / 19 + low
    return curved * 100 / 20


def test_the_share_is_that_of_nagios() -> None:
    """The weights are the curve of Nagios, in whole numbers."""
    assert weigh(2**WINDOW - 1) == 1_520
    for changes in (0, 1, 2**19, 0b101, 0b10110, 2**20 - 2, 0xAAAAA, 0x55555):
        assert weigh(changes) / 15.2 == pytest.approx(nagios_share(changes))


def test_the_marks_are_met_exactly() -> None:
    """The newest and the oldest change weigh a tenth of all: enough for 10 %, for 11 % not."""
    assert weigh(1 << 19 | 1) == 152
    for changes in (1 << 19 | 1, 1 << 18 | 2):
        assert FlapMarks(low=0, high=10).begins(changes)
        assert not FlapMarks(low=0, high=11).begins(changes)
        assert FlapMarks(low=10).ends(changes)
        assert not FlapMarks(low=9).ends(changes)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("+-+-+-+", ".TRTRTF"),
        ("+-+-+-+-+-+", ".TRTRTF...."),
        ("-+-+-+-", "TRTRTRF"),
        ("+-+-+-+" + QUIET, ".TRTRTF" + "." * 15 + "S"),
        ("+-+-+-+" + QUIET + "+", ".TRTRTF" + "." * 15 + "SR"),
        ("+-+-+-" + "-" * 30, ".TRTRT" + "." * 30),
        ("-+-+-+-" + "-" * 18, "TRTRTRF" + "." * 15 + "ST."),
    ],
)
def test_hysteresis(pattern: str, expected: str) -> None:
    """It begins at the high mark, ends at the low one, and what is owed comes after that."""
    decisions = run(pattern, MARKED)
    assert kinds(decisions) == expected
    for decision in decisions:
        assert (decision.state.status is FLAPPING) is (decision.state.flapping is not None)


def test_the_transitions_of_flapping() -> None:
    """Beginning and end carry one episode, which is that of no alert."""
    decisions = run("+-+-+-+" + QUIET, MARKED)
    told = [each.transition for each in decisions if each.transition]
    began, ended = told[-2:]
    assert (began.kind, ended.kind) == (TransitionKind.FLAPPING, TransitionKind.STABLE)
    assert (began.at, ended.at, began.location) == (at(6), at(22), "eu")
    assert began.alert_id == ended.alert_id
    assert began.alert_id not in {each.alert_id for each in told[:-2]}
    assert decisions[6].state.since == at(6)
    last = decisions[-1].state
    assert (last.status, last.since) == (MonitorStatus.UP, at(22))


def test_it_can_be_switched_off() -> None:
    """Without marks nothing flaps; what flaps when they are taken away is stable."""
    assert kinds(run("+-" * 20, ONE)) == "." + "TR" * 19 + "T"
    flapping = run("+-+-+-+", MARKED)[-1].state
    assert kinds(run("++", ONE, state=flapping, start=7)) == "SR"


def test_a_threshold_is_a_hysteresis_of_its_own() -> None:
    """What the thresholds hide is no change."""
    policy = AlertPolicy(failure_threshold=2, flapping=FlapMarks())
    assert kinds(run("+-" * 20, policy)) == "." * 40


def test_an_open_alert_stays_as_it_is() -> None:
    """What was open and taken on when flapping began is so when it has ended."""
    state = run("+-+-+-", MARKED)[-1].state
    taken = evolve(state, acknowledged=True)
    decisions = run("+" + "-" * 18, MARKED, state=taken, start=6)
    assert kinds(decisions) == "F" + "." * 16 + "S."
    last = decisions[-1].state
    assert (last.status, last.open_alert, last.acknowledged) == (DOWN, state.open_alert, True)


class TestSuppression:
    def test_what_changes_under_it_is_not_counted(self) -> None:
        """Maintenance makes no monitor flap, neither during it nor after."""
        quiet = evolve(UNKNOWN, suppressed_until=at(20))
        decisions = run("+-" * 10 + "+++", MARKED, state=quiet)
        assert kinds(decisions) == "." * 23
        assert decisions[-1].state.changes == 0b100, "the one at its end"

    def test_flapping_may_end_under_it(self) -> None:
        """It keeps episodes from beginning, not from ending."""
        flapping = evolve(run("+-+-+-+", MARKED)[-1].state, suppressed_until=at(99))
        decisions = run("-+" * 8 + "-", MARKED, state=flapping, start=7)
        assert kinds(decisions) == "." * 15 + "S."
        assert decisions[-1].state.open_alert is not None

    def test_it_holds_what_is_owed_after_flapping(self) -> None:
        """Down when flapping ended, and suppressed, a monitor triggers when both are over."""
        flapping = evolve(run("-+-+-+-", MARKED)[-1].state, suppressed_until=at(25))
        decisions = run("-" * 20, MARKED, state=flapping, start=7)
        assert kinds(decisions) == "." * 15 + "S..T."
        assert decisions[15].state.owed is not None
        assert decisions[15].state.owed.at == at(25)


def test_the_window_is_of_outcomes_of_all_locations() -> None:
    """Each applied outcome moves the window on, wherever it came from; others do not."""
    policy = evolve(MARKED, locations=("eu", "us"))
    state = run("+-", policy)[-1].state
    assert state.changes == 0b1
    state = decide(state, outcome(0, success=True, location="us"), policy).state
    assert state.changes == 0b10
    for late in (outcome(0, success=False), outcome(9, success=False, location="ap")):
        assert decide(state, late, policy).state.changes == 0b10
