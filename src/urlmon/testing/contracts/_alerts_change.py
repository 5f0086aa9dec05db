"""The contract of `AlertRepo`: acknowledging, resolving and counting notifications."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final, cast

import pytest
from attrs import evolve

from urlmon.domain.alerts import Alert, AlertStatus
from urlmon.errors import ConflictError, InvalidValueError, NotFoundError
from urlmon.testing.builders import an_alert
from urlmon.testing.clock import NOON
from urlmon.testing.contracts._alerts_open import a_stored_monitor
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import RelationalStores
from urlmon.testing.contracts.texts import IMPOSSIBLE_TEXTS

_MINUTE: Final = timedelta(minutes=1)
_LATER: Final = NOON + _MINUTE
_OTHERWISE: Final[tuple[dict[str, Any], ...]] = (
    {"by": "you"},
    {"note": None},
    {"note": "yours"},
    {"at": NOON},
)
_IMPOSSIBLE_ACKNOWLEDGEMENTS: Final[tuple[dict[str, Any], ...]] = (
    {"by": ""},
    {"by": "x" * 201},
    {"by": None},
    {"note": ""},
    {"note": "x" * 2_001},
    {"at": NOON - timedelta(microseconds=1)},
    {"at": _LATER.replace(tzinfo=None)},
    {"at": None},
    *({"by": text} for text in IMPOSSIBLE_TEXTS),
    *({"note": text} for text in IMPOSSIBLE_TEXTS),
)


async def an_open_alert(relational: RelationalStores) -> Alert:
    """Open an alert of a new monitor of a new tenant, at noon."""
    monitor = await a_stored_monitor(relational)
    opening = await relational.alerts.open(
        monitor.tenant_id, an_alert(monitor.tenant_id, monitor.id)
    )
    return opening.alert


class AcknowledgingContract:
    """What every `AlertRepo.acknowledge` must hold."""

    @pytest.mark.parametrize(
        ("by", "note", "at"),
        [("me", None, NOON), ("x" * 200, "y" * 2_000, _LATER), ("m", "n", _LATER)],
    )
    async def test_acknowledge(
        self, relational: RelationalStores, by: str, note: str | None, at: Any
    ) -> None:
        """Who took the alert on is recorded; a repeat gives the alert as it is by then."""
        alert = await an_open_alert(relational)
        repo = relational.alerts
        expected = evolve(alert, acknowledged_by=by, note=note, acknowledged_at=at)
        for change in (
            None,
            repo.count_notification(alert.tenant_id, alert.id, number=2),
            repo.resolve(alert.tenant_id, alert.id, at=_LATER),
        ):
            expected = expected if change is None else await change
            for _ in range(2):
                answer = await repo.acknowledge(alert.tenant_id, alert.id, by=by, note=note, at=at)
                assert answer == expected
            assert await repo.get(alert.tenant_id, alert.id) == expected
        assert expected.acknowledged_by == by

    async def test_acknowledge_otherwise(self, relational: RelationalStores) -> None:
        """An alert is taken on once: another name, note or time meets a conflict."""
        alert = await an_open_alert(relational)
        given: dict[str, Any] = {"by": "me", "note": "mine", "at": _LATER}
        repo = relational.alerts
        current = await repo.acknowledge(alert.tenant_id, alert.id, **given)
        for status in (AlertStatus.ACKNOWLEDGED, AlertStatus.RESOLVED):
            for other in _OTHERWISE:
                error = await refusal_of(
                    repo.acknowledge(alert.tenant_id, alert.id, **given | other)
                )
                assert isinstance(error, ConflictError)
                assert (error.entity, error.current) == ("alert", status)
                assert await repo.get(alert.tenant_id, alert.id) == current
            current = await repo.resolve(alert.tenant_id, alert.id, at=_LATER)

    async def test_acknowledge_what_is_over(self, relational: RelationalStores) -> None:
        """Nobody can take on an alert that was resolved before."""
        alert = await an_open_alert(relational)
        resolved = await relational.alerts.resolve(alert.tenant_id, alert.id, at=NOON)
        error = await refusal_of(
            relational.alerts.acknowledge(alert.tenant_id, alert.id, by="me", at=_LATER)
        )
        assert isinstance(error, ConflictError)
        assert error.current == AlertStatus.RESOLVED
        assert await relational.alerts.get(alert.tenant_id, alert.id) == resolved

    async def test_impossible_acknowledgements(self, relational: RelationalStores) -> None:
        """Values out of their limits are refused, and nothing is recorded."""
        alert = await an_open_alert(relational)
        for wrong in _IMPOSSIBLE_ACKNOWLEDGEMENTS:
            given: dict[str, Any] = {"by": "me", "note": None, "at": _LATER} | wrong
            error = await refusal_of(
                relational.alerts.acknowledge(alert.tenant_id, alert.id, **given)
            )
            assert isinstance(error, InvalidValueError)
        assert await relational.alerts.get(alert.tenant_id, alert.id) == alert

    async def test_race_of_acknowledgements(self, relational: RelationalStores) -> None:
        """Of many who take an alert on at once, one does and the others meet a conflict."""
        for _ in range(4):
            alert = await an_open_alert(relational)
            answers = await asyncio.gather(
                *(
                    relational.alerts.acknowledge(alert.tenant_id, alert.id, by=f"{n}", at=_LATER)
                    for n in range(8)
                ),
                return_exceptions=True,
            )
            conflicts = [answer for answer in answers if isinstance(answer, ConflictError)]
            assert [error.current for error in conflicts] == [AlertStatus.ACKNOWLEDGED] * 7
            assert await relational.alerts.get(alert.tenant_id, alert.id) in answers


class ResolvingContract:
    """What every `AlertRepo.resolve` and `count_notification` must hold."""

    @pytest.mark.parametrize("acknowledged", [False, True])
    async def test_resolve(self, relational: RelationalStores, *, acknowledged: bool) -> None:
        """The first end counts, whoever was there before; later ones change nothing."""
        alert = await an_open_alert(relational)
        repo = relational.alerts
        if acknowledged:
            # Resolved before that instant, which is nothing unusual: clocks differ.
            at = NOON + timedelta(days=1)
            alert = await repo.acknowledge(alert.tenant_id, alert.id, by="me", note="n", at=at)
        expected = evolve(alert, resolved_at=_LATER)
        for at in (_LATER, _LATER + _MINUTE, NOON, NOON - _MINUTE):
            assert await repo.resolve(alert.tenant_id, alert.id, at=at) == expected
            assert await repo.get(alert.tenant_id, alert.id) == expected
        assert expected.status is AlertStatus.RESOLVED

    async def test_resolve_at_the_opening_or_before(self, relational: RelationalStores) -> None:
        """An end that was due before the opening is recorded as the opening."""
        for at in (NOON, NOON - _MINUTE):
            alert = await an_open_alert(relational)
            resolved = await relational.alerts.resolve(alert.tenant_id, alert.id, at=at)
            assert resolved == evolve(alert, resolved_at=NOON)
            assert await relational.alerts.get(alert.tenant_id, alert.id) == resolved

    async def test_resolve_at_no_instant(self, relational: RelationalStores) -> None:
        """An instant without a zone is refused, for a resolved alert too."""
        alert = await an_open_alert(relational)
        for _ in range(2):
            error = await refusal_of(
                relational.alerts.resolve(alert.tenant_id, alert.id, at=_LATER.replace(tzinfo=None))
            )
            assert isinstance(error, InvalidValueError)
            assert await relational.alerts.get(alert.tenant_id, alert.id) == alert
            alert = await relational.alerts.resolve(alert.tenant_id, alert.id, at=_LATER)

    async def test_count_notifications(self, relational: RelationalStores) -> None:
        """The count is the highest number that was handed over, of a resolved alert too."""
        alert = await an_open_alert(relational)
        repo = relational.alerts
        for number, count in ((1, 1), (1, 1), (3, 3), (2, 3), (2**31 - 1, 2**31 - 1)):
            answer = await repo.count_notification(alert.tenant_id, alert.id, number=number)
            assert answer == evolve(alert, notification_count=count)
            assert await repo.get(alert.tenant_id, alert.id) == answer
            alert = await repo.resolve(alert.tenant_id, alert.id, at=_LATER)

    async def test_count_no_number(self, relational: RelationalStores) -> None:
        """What cannot be a notification's number is refused, and nothing is counted."""
        alert = await an_open_alert(relational)
        for number in (0, -1, 2**31, 2**63, True, 1.0, "1", None):
            error = await refusal_of(
                relational.alerts.count_notification(
                    alert.tenant_id, alert.id, number=cast("int", number)
                )
            )
            assert isinstance(error, InvalidValueError)
            assert error.field == "number"
        assert await relational.alerts.get(alert.tenant_id, alert.id) == alert

    async def test_what_is_missing(self, relational: RelationalStores) -> None:
        """An alert that does not exist is not found, by name and key."""
        monitor = await a_stored_monitor(relational)
        alert = an_alert(monitor.tenant_id, monitor.id)
        for call in (
            relational.alerts.get(alert.tenant_id, alert.id),
            relational.alerts.acknowledge(alert.tenant_id, alert.id, by="me", at=_LATER),
            relational.alerts.resolve(alert.tenant_id, alert.id, at=_LATER),
            relational.alerts.count_notification(alert.tenant_id, alert.id, number=1),
        ):
            error = await refusal_of(call)
            assert isinstance(error, NotFoundError)
            assert (error.entity, error.key) == ("alert", str(alert.id))

    async def test_race_of_changes(self, relational: RelationalStores) -> None:
        """Changes of different sorts that meet do not undo each other."""
        for _ in range(4):
            alert = await an_open_alert(relational)
            key, repo = (alert.tenant_id, alert.id), relational.alerts
            *_, acknowledged = await asyncio.gather(
                *(repo.count_notification(*key, number=number) for number in (3, 1, 4, 2)),
                repo.resolve(*key, at=_LATER),
                repo.acknowledge(*key, by="me", note="mine", at=NOON),
                return_exceptions=True,
            )
            if isinstance(acknowledged, ConflictError):  # it came after the end
                assert acknowledged.current == AlertStatus.RESOLVED
            else:
                alert = evolve(alert, acknowledged_by="me", note="mine", acknowledged_at=NOON)
            stored = await repo.get(*key)
            assert stored == evolve(alert, notification_count=4, resolved_at=_LATER)
