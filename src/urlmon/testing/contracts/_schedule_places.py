"""What every `Schedule` must hold of monitors that several locations check."""

from __future__ import annotations

from functools import partial

import pytest
from attrs import evolve

from urlmon.domain.alerting import AlertPolicy, MonitorStatus
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.scheduling import Grid, ScheduleEntry
from urlmon.errors import InvalidValueError, LeaseLostError
from urlmon.testing.builders import an_outcome
from urlmon.testing.contracts._checks import HOUR, LEASE, SECOND, Requests, Scheduled
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import WorkingStores

PLACES = ("berlin", "lima", "oslo")
TWO_OF_THREE = AlertPolicy(failure_threshold=1, quorum=2)


class SchedulingPlacesContract:
    """What every `Schedule` must hold of monitors that several locations check."""

    async def test_places(self, working: WorkingStores) -> None:
        """Each location has the same slots, whatever the others do."""
        monitor = await Scheduled.hourly(working, locations=PLACES)
        at = {place: Requests(working, place) for place in PLACES}
        await working.advance(HOUR)
        first = {place: await at[place].one() for place in PLACES}
        assert {each.location for each in first.values()} == set(PLACES)
        assert {each.scheduled_at for each in first.values()} == {monitor.first}
        assert len({each.token for each in first.values()}) == 3
        assert await Requests(working).none()
        await working.schedule.complete(first["berlin"])
        await working.schedule.release(first["lima"], delay=SECOND)
        assert await working.schedule.renew([first["oslo"]], lease=3 * HOUR) == (first["oslo"],)
        await working.advance(HOUR)
        assert (await at["berlin"].one()).attempt == 1
        assert (await at["lima"].one()).attempt == 2
        assert await at["oslo"].none()
        for place, due in (("berlin", 0), ("oslo", 0)):
            backlog = await working.schedule.backlog(location=place)
            assert (backlog.scheduled, backlog.due) == (1, due)
        assert (await working.schedule.backlog()).scheduled == 0

    async def test_claim_of_another_place(self, working: WorkingStores) -> None:
        """A claim ends the check of its own location alone."""
        await Scheduled.hourly(working, locations=PLACES)
        await working.advance(HOUR)
        claimed = await Requests(working, "lima").one()
        for place in ("berlin", "nowhere"):
            forged = evolve(claimed, location=place)
            for call in (
                working.schedule.complete(forged),
                working.schedule.release(forged, delay=SECOND),
            ):
                assert isinstance(await refusal_of(call), LeaseLostError)
            assert await working.schedule.renew([forged], lease=LEASE) == ()
        await working.schedule.complete(claimed)
        assert (await working.schedule.backlog(location="berlin")).due == 1

    async def test_one_request_at_two_places(self, working: WorkingStores) -> None:
        """A request that is made at two locations is two."""
        await Scheduled.hourly(working, locations=PLACES)
        await working.advance(HOUR)
        claim = partial(working.schedule.claim, request_id="same")
        (here,), (there,) = await claim(location="lima"), await claim(location="oslo")
        assert (here.location, there.location) == ("lima", "oslo")
        assert (await claim(location="lima"), await claim(location="oslo")) == ((here,), (there,))

    async def test_places_change(self, working: WorkingStores) -> None:
        """A location that is added is due from its next slot on, one that is taken off never."""
        monitor = await Scheduled.hourly(working, locations=PLACES)
        at = {place: Requests(working, place) for place in (*PLACES, "paris")}
        await working.advance(HOUR)
        lima, oslo = await at["lima"].one(), await at["oslo"].one()
        assert await monitor.upsert(2, locations=("paris", "lima"))
        assert not await monitor.upsert(1, locations=PLACES)
        assert await monitor.upsert(2, locations=PLACES)  # known already: it changes nothing
        for call in (
            working.schedule.complete(oslo),
            working.schedule.release(oslo, delay=SECOND),
        ):
            assert isinstance(await refusal_of(call), LeaseLostError)
        assert await working.schedule.renew([lima, oslo], lease=LEASE) == (lima,)
        assert await at["paris"].none()
        await working.schedule.complete(lima)
        await working.advance(HOUR)
        paris = await at["paris"].one()
        assert (paris.scheduled_at, paris.version) == (monitor.first + HOUR, 2)
        assert (await at["lima"].one()).version == 2
        for place in ("berlin", "oslo"):
            assert await at[place].none()
            assert (await working.schedule.backlog(location=place)).scheduled == 0

    async def test_place_that_is_added_at_once(self, working: WorkingStores) -> None:
        """Only where a location is new to a monitor it can be due now."""
        monitor = await Scheduled.hourly(working, locations=("lima",))
        assert await monitor.upsert(2, locations=("lima", "oslo"), at_once=True)
        assert await Requests(working, "lima").none()
        assert (await Requests(working, "oslo").one()).scheduled_at < monitor.first

    async def test_place_that_comes_back(self, working: WorkingStores) -> None:
        """A claim of a location that was taken off is lost, also when that came back."""
        monitor = await Scheduled.hourly(working, locations=PLACES)
        await working.advance(HOUR)
        claimed = await Requests(working, "lima").one()
        assert await monitor.upsert(2, locations=("oslo",))
        assert await monitor.upsert(3, locations=PLACES)
        with pytest.raises(LeaseLostError):
            await working.schedule.complete(claimed)
        assert await Requests(working, "lima").none()
        await working.advance(HOUR)
        again = await Requests(working, "lima").one()
        assert (again.attempt, again.scheduled_at) == (1, claimed.scheduled_at + HOUR)

    async def test_remove_everywhere(self, working: WorkingStores) -> None:
        """A removed monitor is due nowhere, and no older version brings it back anywhere."""
        monitor = await Scheduled.hourly(working, locations=PLACES)
        assert await monitor.upsert(2, locations=("lima", "oslo"))
        await working.advance(HOUR)
        claimed = await Requests(working, "lima").one()
        await working.schedule.remove(*monitor.key)
        with pytest.raises(LeaseLostError):
            await working.schedule.complete(claimed)
        assert not await monitor.upsert(1, locations=PLACES)
        for place in PLACES:
            assert (await working.schedule.backlog(location=place)).scheduled == 0
        assert await monitor.upsert(2, locations=("oslo",))
        assert (await working.schedule.backlog(location="oslo")).scheduled == 1

    async def test_seed_of_many_places(self, working: WorkingStores) -> None:
        """Monitors of many locations and of few are seeded together."""
        names = [f"place-{number}" for number in range(20)]
        entries = [
            ScheduleEntry(
                tenant_id=TenantId.new(),
                monitor_id=MonitorId.new(),
                interval=HOUR,
                locations=tuple(names[: number % 20 + 1]),
                version=1,
            )
            for number in range(60)
        ]
        fewer = [evolve(each, locations=each.locations[-1:], version=2) for each in entries]
        for seeded, expected in ((entries, range(60, 0, -3)), (fewer, [3] * 20)):
            for _ in range(2):
                await working.schedule.seed(seeded)
                backlogs = [await working.schedule.backlog(location=name) for name in names]
                assert [each.scheduled for each in backlogs] == list(expected)
        await working.schedule.seed(entries)
        assert (await working.schedule.backlog(location=names[0])).scheduled == 3

    async def test_quorum(self, working: WorkingStores) -> None:
        """Locations that complete the check of a slot decide together whether it is down."""
        monitor = await Scheduled.hourly(working, locations=PLACES)
        await working.advance(HOUR)
        statuses = []
        for place, success in (("berlin", False), ("lima", True), ("oslo", False)):
            claimed = await Requests(working, place).one()
            outcome = an_outcome(
                *monitor.key, scheduled_at=claimed.scheduled_at, location=place, success=success
            )
            for other in PLACES:
                if other != place:
                    with pytest.raises(InvalidValueError, match="outcome"):
                        await working.schedule.complete(
                            claimed, outcome=evolve(outcome, location=other), policy=TWO_OF_THREE
                        )
            decision = await working.schedule.complete(
                claimed, outcome=outcome, policy=TWO_OF_THREE
            )
            assert decision is not None
            statuses.append(decision.state.status)
        assert statuses == [MonitorStatus.UNKNOWN, MonitorStatus.UP, MonitorStatus.DOWN]
        assert await working.outbox.backlog() == 1

    async def test_slots_of_all_places(self, working: WorkingStores) -> None:
        """The slots of every location are those of the monitor's grid."""
        monitor = await Scheduled.hourly(working, locations=PLACES)
        grid = Grid.of(monitor.key[1], HOUR)
        for number in range(1, 4):
            await working.advance(HOUR)
            for place in PLACES[:number]:
                claimed = await Requests(working, place).one()
                assert claimed.scheduled_at == grid.at_or_before(claimed.scheduled_at)
                assert claimed.scheduled_at == monitor.first + (number - 1) * HOUR
                await working.schedule.complete(claimed)

    async def test_arguments_of_places(self, working: WorkingStores) -> None:
        """Locations are those that a monitor can have."""
        key, longest = (TenantId.new(), MonitorId.new()), "x" * 63
        upsert = partial(working.schedule.upsert, *key, interval=HOUR, version=1)
        assert await upsert(locations=(longest,), at_once=True)
        assert len(await working.schedule.claim(request_id="r", location=longest)) == 1
        refused = [
            *(("locations", upsert(locations=each)) for each in ((), ("a", "a"), ("A",), ("",))),
            ("locations", upsert(locations=tuple(f"a{number}" for number in range(21)))),
            *(
                ("location", call)
                for name in ("", "x" * 64, "a b", "A", "a:b", "{a}", "a\n")
                for call in (
                    working.schedule.claim(request_id="r", location=name),
                    working.schedule.backlog(location=name),
                )
            ),
        ]
        for field, call in refused:
            error = await refusal_of(call)
            assert isinstance(error, InvalidValueError)
            assert error.field == field
