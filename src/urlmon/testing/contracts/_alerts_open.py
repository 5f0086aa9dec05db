"""The contract of `AlertRepo`: opening alerts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

from attrs import evolve

from urlmon.domain.alerts import AlertStatus, Opening
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.monitors import Monitor
from urlmon.errors import AlreadyExistsError, ConflictError, InvalidValueError, NotFoundError
from urlmon.testing.builders import a_monitor, a_tenant, an_alert
from urlmon.testing.clock import NOON
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import RelationalStores
from urlmon.testing.contracts.texts import HOSTILE_TEXTS


async def a_stored_monitor(relational: RelationalStores) -> Monitor:
    """Add a monitor of a new tenant."""
    tenant = await relational.tenants.add(a_tenant())
    return await relational.monitors.add(tenant.id, a_monitor(tenant.id))


class OpeningContract:
    """What every `AlertRepo.open` must hold."""

    async def test_open_then_get(self, relational: RelationalStores) -> None:
        """An alert is stored as given, at the limits of its fields too."""
        monitor = await a_stored_monitor(relational)
        for fields in (
            {},
            {"rule": "a", "cause": "", "opened_at": datetime(2000, 1, 1, tzinfo=UTC)},
            {
                "rule": "z" * 63,
                "cause": "\N{PILE OF POO}" * 500,
                "opened_at": datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            },
        ):
            alert = an_alert(monitor.tenant_id, monitor.id, **fields)
            opening = await relational.alerts.open(monitor.tenant_id, alert)
            assert opening == Opening(alert=alert, created=True)
            assert await relational.alerts.get(monitor.tenant_id, alert.id) == alert

    async def test_texts_come_back_exactly(self, relational: RelationalStores) -> None:
        """No text is changed on its way: cause, name and note."""
        monitor = await a_stored_monitor(relational)
        for number, text in enumerate(HOSTILE_TEXTS):
            alert = an_alert(monitor.tenant_id, monitor.id, rule=f"rule-{number}", cause=text)
            await relational.alerts.open(monitor.tenant_id, alert)
            await relational.alerts.acknowledge(
                monitor.tenant_id, alert.id, by=text, note=text, at=NOON
            )
            stored = await relational.alerts.get(monitor.tenant_id, alert.id)
            assert (stored.cause, stored.acknowledged_by, stored.note) == (text, text, text)

    async def test_instants_come_back_exactly(self, relational: RelationalStores) -> None:
        """Every microsecond survives, and the zone is UTC."""
        monitor = await a_stored_monitor(relational)
        zone = timezone(timedelta(hours=14))
        for microsecond in (0, 1, 999, 1_000, 500_001, 999_999):
            at = NOON.replace(microsecond=microsecond).astimezone(zone)
            alert = an_alert(monitor.tenant_id, monitor.id, opened_at=at)
            await relational.alerts.open(monitor.tenant_id, alert)
            await relational.alerts.acknowledge(monitor.tenant_id, alert.id, by="me", at=at)
            await relational.alerts.resolve(monitor.tenant_id, alert.id, at=at)
            stored = await relational.alerts.get(monitor.tenant_id, alert.id)
            instants = {stored.opened_at, stored.acknowledged_at, stored.resolved_at}
            assert instants == {at}
            assert {each.tzinfo for each in instants if each} == {UTC}

    async def test_open_again(self, relational: RelationalStores) -> None:
        """Once an alert is there, opening its id gives it as it is, whatever became of it."""
        monitor = await a_stored_monitor(relational)
        tenant_id, repo = monitor.tenant_id, relational.alerts
        alert = an_alert(tenant_id, monitor.id)
        current = (await repo.open(tenant_id, alert)).alert
        for change in (
            None,
            repo.acknowledge(tenant_id, alert.id, by="me", at=NOON),
            repo.count_notification(tenant_id, alert.id, number=3),
            repo.resolve(tenant_id, alert.id, at=NOON),
        ):
            current = current if change is None else await change
            for again in (alert, evolve(alert, cause="other", opened_at=NOON + timedelta(1))):
                opening = await repo.open(tenant_id, again)
                assert opening == Opening(alert=current, created=False)
        assert await repo.get(tenant_id, alert.id) == current

    async def test_open_an_id_of_another_monitor_or_rule(
        self, relational: RelationalStores
    ) -> None:
        """An id stands for one monitor and rule, whether or not the other one exists."""
        monitor = await a_stored_monitor(relational)
        tenant_id = monitor.tenant_id
        other = await relational.monitors.add(tenant_id, a_monitor(tenant_id))
        alert = an_alert(tenant_id, monitor.id)
        await relational.alerts.open(tenant_id, alert)
        await relational.alerts.open(tenant_id, an_alert(tenant_id, monitor.id, rule="slow"))
        for wrong in (
            evolve(alert, rule="slow"),
            evolve(alert, rule="fast"),
            evolve(alert, monitor_id=other.id),
            evolve(alert, monitor_id=MonitorId.new()),
        ):
            error = await refusal_of(relational.alerts.open(tenant_id, wrong))
            assert isinstance(error, AlreadyExistsError)
            assert (error.entity, error.field) == ("alert", "id")
        assert await relational.alerts.get(tenant_id, alert.id) == alert

    async def test_one_open_alert_of_a_rule(self, relational: RelationalStores) -> None:
        """While an alert is open no other of its monitor and rule opens; afterwards one does."""
        monitor = await a_stored_monitor(relational)
        tenant_id, repo = monitor.tenant_id, relational.alerts
        for _ in range(2):
            alert, second = [an_alert(tenant_id, monitor.id) for _ in range(2)]
            await repo.open(tenant_id, alert)
            for status in (AlertStatus.FIRING, AlertStatus.ACKNOWLEDGED):
                error = await refusal_of(repo.open(tenant_id, second))
                assert isinstance(error, ConflictError)
                assert (error.entity, error.current) == ("alert", status)
                await repo.acknowledge(tenant_id, alert.id, by="me", at=NOON)
            await repo.resolve(tenant_id, alert.id, at=NOON)
            assert (await repo.open(tenant_id, second)).created
            assert not (await repo.open(tenant_id, alert)).created, "a late repeat"
            await repo.resolve(tenant_id, second.id, at=NOON)

    async def test_other_rules_and_monitors(self, relational: RelationalStores) -> None:
        """An open alert is in the way of its own monitor and rule only."""
        monitor = await a_stored_monitor(relational)
        tenant_id = monitor.tenant_id
        other = await relational.monitors.add(tenant_id, a_monitor(tenant_id))
        for monitor_id in (monitor.id, other.id):
            for rule in ("availability", "latency", "tls-expiry"):
                alert = an_alert(tenant_id, monitor_id, rule=rule)
                assert (await relational.alerts.open(tenant_id, alert)).created

    async def test_open_without_a_monitor(self, relational: RelationalStores) -> None:
        """There is no alert without a monitor, nor of a monitor that is no more."""
        monitor = await a_stored_monitor(relational)
        await relational.monitors.remove(monitor.tenant_id, monitor.id)
        nobody = TenantId.new()
        for tenant_id in (monitor.tenant_id, nobody):
            alert = an_alert(tenant_id, monitor.id)
            error = await refusal_of(relational.alerts.open(tenant_id, alert))
            assert isinstance(error, NotFoundError)
            assert (error.entity, error.key) == ("monitor", str(monitor.id))

    async def test_open_what_cannot_be_new(self, relational: RelationalStores) -> None:
        """An alert that something was done with already is refused, and nothing is stored."""
        monitor = await a_stored_monitor(relational)
        for field, fields in (
            ("status", {"acknowledged_at": NOON, "acknowledged_by": "me"}),
            ("status", {"resolved_at": NOON}),
            ("notification_count", {"notification_count": 1}),
        ):
            alert = an_alert(monitor.tenant_id, monitor.id, **fields)
            error = await refusal_of(relational.alerts.open(monitor.tenant_id, alert))
            assert isinstance(error, InvalidValueError)
            assert error.field == field
        assert (await relational.alerts.list(monitor.tenant_id)).items == ()

    async def test_race_of_alerts(self, relational: RelationalStores) -> None:
        """Of many alerts that open at once for one monitor and rule, one does."""
        monitor = await a_stored_monitor(relational)
        for number in range(4):
            alerts = [
                an_alert(monitor.tenant_id, monitor.id, rule=f"rule-{number}") for _ in range(8)
            ]
            answers = await asyncio.gather(
                *(relational.alerts.open(monitor.tenant_id, alert) for alert in alerts),
                return_exceptions=True,
            )
            (opening,) = [answer for answer in answers if isinstance(answer, Opening)]
            assert opening == Opening(alert=alerts[answers.index(opening)], created=True)
            conflicts = [answer for answer in answers if isinstance(answer, ConflictError)]
            assert [error.current for error in conflicts] == [AlertStatus.FIRING] * 7
        assert len((await relational.alerts.list(monitor.tenant_id)).items) == 4

    async def test_race_of_a_repeat(self, relational: RelationalStores) -> None:
        """Of many calls that open one alert at once, one has made it, and all get it."""
        monitor = await a_stored_monitor(relational)
        for number in range(4):
            alert = an_alert(monitor.tenant_id, monitor.id, rule=f"rule-{number}")
            answers = await asyncio.gather(
                *(relational.alerts.open(monitor.tenant_id, alert) for _ in range(8))
            )
            assert sorted(answer.created for answer in answers) == [False] * 7 + [True]
            assert {answer.alert for answer in answers} == {alert}
