"""The contract of groups, a part of `CheckStatisticsContract`."""

from __future__ import annotations

from attrs import evolve

from urlmon.domain.check_results import CheckError, ErrorKind
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.domain.periods import Period
from urlmon.domain.statistics import FailureGroup, Statistics
from urlmon.testing.builders import a_result
from urlmon.testing.contracts import _brute_force as brute_force
from urlmon.testing.contracts._alike import assert_alike
from urlmon.testing.contracts._recording import (
    BOOM,
    LOCATIONS,
    MICROSECOND,
    MINUTE,
    SECOND,
    record,
    some_results,
    whole_span,
)
from urlmon.testing.contracts.stores import ResultStores


class GroupsContract:
    """What `failures` and `by_location` answer."""

    async def test_failures_by_kind(self, recording: ResultStores) -> None:
        """Kinds come most frequent first, then by name, with the newest message of each."""
        tenant, monitor, other = TenantId.new(), MonitorId.new(), MonitorId.new()
        now = recording.clock.now()
        counts = {
            ErrorKind.TIMEOUT: 3,
            ErrorKind.CONNECT: 2,
            ErrorKind.CONTENT: 2,
            ErrorKind.DNS: 2,
            ErrorKind.TLS: 1,
        }
        results = [
            a_result(
                tenant,
                monitor,
                scheduled_at=now - number * MINUTE - place * MICROSECOND,
                location=f"eu-{place}",
                error=CheckError(kind=kind, message=f"{kind} {number}"),
            )
            for place, (kind, count) in enumerate(reversed(counts.items()))
            for number in range(count)
        ]
        good = a_result(tenant, monitor, scheduled_at=now - MINUTE, location="us")
        await record(recording, *results, good, evolve(good, monitor_id=other))
        found = await recording.statistics.failures(
            tenant, [monitor, other], period=whole_span(recording)
        )
        assert found == {
            monitor: tuple(
                FailureGroup(
                    kind=kind,
                    count=count,
                    first_at=now - (count - 1) * MINUTE - (4 - place) * MICROSECOND,
                    last_at=now - (4 - place) * MICROSECOND,
                    last_message=f"{kind} 0",
                )
                for place, (kind, count) in enumerate(counts.items())
            ),
            other: (),
        }

    async def test_of_the_newest_failures_the_first_location(self, recording: ResultStores) -> None:
        """Among the newest of a kind, the message is that of the location that sorts first."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        now = recording.clock.now()
        for location in reversed(LOCATIONS):
            error = CheckError(kind=ErrorKind.OTHER, message="" if location == "a" else location)
            result = a_result(tenant, monitor, scheduled_at=now, location=location, error=error)
            earlier = evolve(result, scheduled_at=now - SECOND, error=evolve(error, message="old"))
            await record(recording, earlier, result)
            found = await recording.statistics.failures(
                tenant, [monitor], period=whole_span(recording)
            )
            assert found[monitor][0].last_message == error.message

    async def test_groups_are_of_their_period(self, recording: ResultStores) -> None:
        """Results at a period's end and before its start are not counted."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        now = recording.clock.now()
        period = Period(since=now - MINUTE, until=now)
        results = [
            a_result(tenant, monitor, scheduled_at=at, location=location, error=BOOM)
            for at, location in (
                (period.since - MICROSECOND, "before"),
                (period.since, "first"),
                (period.until - MICROSECOND, "last"),
                (period.until, "behind"),
            )
        ]
        await record(recording, *results)
        failures = await recording.statistics.failures(tenant, [monitor], period=period)
        assert failures[monitor] == (
            FailureGroup(
                kind=BOOM.kind,
                count=2,
                first_at=results[1].scheduled_at,
                last_at=results[2].scheduled_at,
                last_message=BOOM.message,
            ),
        )
        found = await recording.statistics.by_location(tenant, [monitor], period=period)
        one = Statistics(checks=1, failures=1)
        assert found == {monitor: {"first": one, "last": one}}

    async def test_by_location(self, recording: ResultStores) -> None:
        """Each location with results is there, in order of their names, with its own figures."""
        tenant, monitor, empty = TenantId.new(), MonitorId.new(), MonitorId.new()
        results = some_results(recording, tenant, monitor, seed=7)
        await record(recording, *results)
        span = whole_span(recording)
        found = await recording.statistics.by_location(tenant, [monitor, empty], period=span)
        names = sorted({result.location for result in results})
        assert list(found[monitor]) == names
        expected = {
            monitor: {
                name: brute_force.statistics(
                    [result for result in results if result.location == name], span
                )
                for name in names
            },
            empty: {},
        }
        assert_alike(found, expected)
