"""The contract of recording check results, a part of `CheckResultStoreContract`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from attrs import evolve

from urlmon.domain.check_results import (
    LONGEST_MESSAGE,
    MAX_BATCH,
    CheckError,
    CheckResult,
    ErrorKind,
)
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_result
from urlmon.testing.contracts._recording import (
    BOOM,
    EMPTY,
    FULL,
    LOCATIONS,
    MESSAGES,
    MICROSECOND,
    MINUTE,
    SECOND,
    ZERO,
    everything,
    record,
)
from urlmon.testing.contracts.stores import ResultStores


class RecordingContract:
    """What `record` keeps, of what was given to it."""

    @pytest.mark.parametrize("fields", [EMPTY, ZERO, FULL], ids=["none", "least", "most"])
    @pytest.mark.parametrize("error", [None, CheckError(kind=ErrorKind.OTHER), BOOM])
    async def test_a_result_is_kept_exactly(
        self, recording: ResultStores, fields: dict[str, object], error: CheckError | None
    ) -> None:
        """Every field comes back as it was given: None as None, 0 as 0, "" as ""."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        at = recording.clock.now()
        given = a_result(
            tenant, monitor, **{"scheduled_at": at, "checked_at": at, "error": error} | fields
        )
        await record(recording, given)
        assert await everything(recording, tenant, monitor) == (given,)
        assert await recording.results.latest(tenant, [monitor]) == {monitor: given}

    async def test_every_microsecond_counts(self, recording: ResultStores) -> None:
        """Neighbouring microseconds are instants of their own, whatever their digits are."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        whole = recording.clock.now().replace(microsecond=0) - MINUTE
        offsets = [*range(300), *range(999_700, 1_000_000), *range(123_456, 900_000, 7_919)]
        given = [
            a_result(
                tenant,
                monitor,
                scheduled_at=whole + offset * MICROSECOND,
                checked_at=whole + (offset + 1) * MICROSECOND,
                tls_expires_at=whole + (offset + 2) * MICROSECOND,
            )
            for offset in offsets
        ]
        await record(recording, *given)
        newest_first = sorted(given, key=lambda result: result.scheduled_at, reverse=True)
        assert await everything(recording, tenant, monitor) == tuple(newest_first)

    async def test_any_text_is_kept(self, recording: ResultStores) -> None:
        """An error's message comes back as it was given, whatever characters it has."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        at = recording.clock.now()
        given = [
            a_result(
                tenant,
                monitor,
                scheduled_at=at - number * SECOND,
                error=CheckError(kind=ErrorKind.CONTENT, message=message),
            )
            for number, message in enumerate(MESSAGES)
        ]
        await record(recording, *given)
        assert await everything(recording, tenant, monitor) == tuple(given)

    async def test_every_kind_and_location_is_kept(self, recording: ResultStores) -> None:
        """Each kind of error comes back, and each location apart from the others."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        at = recording.clock.now()
        kinds = [CheckError(kind=kind, message="x" * LONGEST_MESSAGE) for kind in ErrorKind]
        given = [
            a_result(tenant, monitor, scheduled_at=at, location=location, error=error)
            for location, error in zip((*LOCATIONS, "z" * 63), [None, *kinds, *kinds], strict=False)
        ]
        await record(recording, *given)
        assert await everything(recording, tenant, monitor) == tuple(given)

    @pytest.mark.parametrize("together", [True, False])
    @pytest.mark.parametrize("failure_first", [True, False])
    async def test_a_failure_outranks_a_success(
        self, recording: ResultStores, *, failure_first: bool, together: bool
    ) -> None:
        """Of a success and a failure of one identity the failure stays, with its fields only."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        at = recording.clock.now()
        rich: dict[str, object] = {**FULL, "scheduled_at": at}
        poor: dict[str, object] = {**EMPTY, "scheduled_at": at}
        for first, second in ((rich, poor), (poor, rich)):
            monitor = MonitorId.new()
            success = a_result(tenant, monitor, **first)
            failure = a_result(tenant, monitor, **second, error=BOOM)
            pair = (failure, success) if failure_first else (success, failure)
            if together:
                await record(recording, *pair)
            else:
                await record(recording, pair[0])
                await record(recording, pair[1])
            assert await everything(recording, tenant, monitor) == (failure,)
            assert await recording.results.latest(tenant, [monitor]) == {monitor: failure}

    @pytest.mark.parametrize("together", [True, False])
    @pytest.mark.parametrize("error", [None, BOOM])
    async def test_equals_are_never_mixed(
        self, recording: ResultStores, *, error: CheckError | None, together: bool
    ) -> None:
        """Of two that succeeded, or two that failed, one stays as a whole."""
        tenant = TenantId.new()
        at = recording.clock.now()
        for first, second in ((EMPTY, FULL), (FULL, EMPTY), (ZERO, FULL)):
            monitor = MonitorId.new()
            other = error and CheckError(kind=ErrorKind.DNS, message="no such name")
            pair = (
                a_result(tenant, monitor, **{"scheduled_at": at, "checked_at": at} | first),
                a_result(tenant, monitor, **{"scheduled_at": at, "checked_at": at} | second),
            )
            pair = (evolve(pair[0], error=error), evolve(pair[1], error=other))
            for batch in [pair] if together else [pair[:1], pair[1:]]:
                await record(recording, *batch)
            (kept,) = await everything(recording, tenant, monitor)
            assert kept in pair

    async def test_nothing_to_record(self, recording: ResultStores) -> None:
        """An empty batch is a batch."""
        assert await recording.results.record([]) == ()
        assert await recording.results.record(()) == ()

    async def test_a_batch_has_its_limit(self, recording: ResultStores) -> None:
        """5,000 results are stored; of 5,001 none is."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        at = recording.clock.now()
        many = [
            a_result(tenant, monitor, scheduled_at=at - number * SECOND)
            for number in range(MAX_BATCH + 1)
        ]
        with pytest.raises(InvalidValueError, match="results"):
            await recording.results.record(many)
        assert await everything(recording, tenant, monitor) == ()
        await record(recording, *many[1:])
        latest = await recording.results.latest(tenant, [monitor])
        assert latest == {monitor: many[1]}

    async def test_what_is_no_result_is_refused(self, recording: ResultStores) -> None:
        """Where one item is no result nothing is stored, nor is anything but a sequence taken."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        good = a_result(tenant, monitor, scheduled_at=recording.clock.now())
        for wrong in (None, good.outcome(), {"monitor_id": monitor}):
            with pytest.raises(InvalidValueError, match="results"):
                await recording.results.record([good, cast("CheckResult", wrong)])
        for batch in (good, None, {good}, "results", iter([good])):
            with pytest.raises(InvalidValueError, match="results"):
                await recording.results.record(cast("Sequence[CheckResult]", batch))
        assert await everything(recording, tenant, monitor) == ()

    async def test_a_batch_serves_many_tenants(self, recording: ResultStores) -> None:
        """Results of one instant and place are kept apart by tenant and by monitor."""
        at = recording.clock.now()
        tenants = [TenantId.new() for _ in range(3)]
        monitors = [MonitorId.new() for _ in range(2)]
        batch = [
            a_result(tenant, monitor, scheduled_at=at, response_time_us=number)
            for number, (tenant, monitor) in enumerate(
                (tenant, monitor) for tenant in tenants for monitor in monitors
            )
        ]
        await record(recording, *batch)
        for result in batch:
            assert await everything(recording, result.tenant_id, result.monitor_id) == (result,)

    async def test_a_race_for_one_identity(self, recording: ResultStores) -> None:
        """However the calls overlap, one result remains, and a failure if there was one."""
        tenant, monitor, calm = TenantId.new(), MonitorId.new(), MonitorId.new()
        at = recording.clock.now()
        results = [
            a_result(tenant, each, scheduled_at=at, size_bytes=number, error=error)
            for number in range(6)
            for each, error in ((monitor, BOOM if number == 3 else None), (calm, None))
        ]
        await asyncio.gather(*(record(recording, result) for result in results))
        (kept,) = await everything(recording, tenant, monitor)
        assert kept.error == BOOM
        assert kept in results
        (kept,) = await everything(recording, tenant, calm)
        assert kept in results

    async def test_a_race_of_overlapping_batches(self, recording: ResultStores) -> None:
        """Batches with the same identities in opposite order do not block each other."""
        tenant, monitor = TenantId.new(), MonitorId.new()
        at = recording.clock.now()
        good = [
            a_result(tenant, monitor, scheduled_at=at - number * SECOND) for number in range(200)
        ]
        bad = [evolve(result, error=BOOM) for result in reversed(good)]
        await asyncio.gather(*(record(recording, *batch) for batch in (good, bad, good, bad)))
        assert await everything(recording, tenant, monitor) == tuple(reversed(bad))
