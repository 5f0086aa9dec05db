"""The result writer: what is sent when, what waits where, and what becomes of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.writing import Bench, check, fake_timing, quiet, results

from urlmon.domain.check_results import CheckResult
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.errors import InvalidValueError, UnavailableError
from urlmon.services.result_writer import Pace, ResultWriter, Tally, WhenFull
from urlmon.testing.spool import InMemorySpool

if TYPE_CHECKING:
    from collections.abc import Sequence

# So small that a hundred results do not fit.
SMALL = Pace(memory_bytes=64_000)

# In health


async def test_results_are_stored_in_batches() -> None:
    """What comes in within the linger is sent as one batch, and the disk is not touched."""
    bench = Bench()
    async with bench.writer.running() as writer:
        receipts = [await writer.submit([each]) for each in results(10)]
        await bench.settle()
        assert (bench.account.in_memory, bench.store.batches) == (10, [])
        await bench.settle(0.1)
        assert bench.store.batches == [10]
        assert bench.stored == set(results(10))
        assert bench.account.tally == Tally(stored=10)
        assert bench.account.problem is None
        for receipt in receipts:
            await receipt.durable()
            assert await receipt.stored() == {"memory": Tally(stored=1)}
    assert bench.spool.status().entries == 0


async def test_a_full_batch_does_not_linger() -> None:
    """As soon as there are enough results they are sent, at most two batches at a time."""
    bench = Bench(pace=Pace(rows=10))
    bench.store.held = asyncio.Event()
    async with bench.writer.running() as writer:
        await asyncio.gather(*(writer.submit(results(5, since=n * 5)) for n in range(8)))
        await bench.settle()
        assert bench.store.batches == [10, 10]
        assert (bench.account.in_flight, bench.account.in_memory) == (20, 20)
        bench.store.held.set()
        await bench.settle()
        assert bench.store.batches == [10, 10, 10, 10]
        assert bench.account.tally.stored == 40


async def test_nothing_and_too_much() -> None:
    """No results are stored at once; too many, or anything else, are refused."""
    bench = Bench()
    async with bench.writer.running() as writer:
        assert await (await writer.submit([])).stored() == {}
        with pytest.raises(InvalidValueError):
            await writer.submit(results(1) * 5_001)
        with pytest.raises(InvalidValueError):
            await writer.submit(["result"])  # type: ignore[list-item]
    with pytest.raises(UnavailableError, match="not running"):
        await bench.writer.submit(results(1))
    assert bench.account.submitted == 0


async def test_each_store_needs_a_spool() -> None:
    """A writer without stores, or with a store that has no spool, is refused."""
    bench = Bench()
    with pytest.raises(InvalidValueError, match="spools"):
        ResultWriter({}, {}, fake_timing(bench.clock))
    with pytest.raises(InvalidValueError, match="spools"):
        ResultWriter({"memory": bench.store}, {}, fake_timing(bench.clock))


async def test_refused_results_are_counted() -> None:
    """What the store keeps none of is refused, and everything else of the batch stored."""
    bench = Bench()
    old = results(1, since=-100 * 86_400_000)
    async with bench.writer.running() as writer:
        receipt = await writer.submit(results(2) + old)
        await bench.settle(0.1)
        assert await receipt.stored() == {"memory": Tally(stored=2, refused=1)}
        assert bench.account.tally == Tally(stored=2, refused=1)


# When the store is down


async def test_an_outage_is_bridged_by_the_spool() -> None:
    """While the store is down results become durable within a second; then they are stored."""
    bench = Bench()
    bench.store.down = True
    async with bench.writer.running() as writer:
        receipt = await writer.submit(results(10))
        durable = asyncio.create_task(receipt.durable())
        await bench.settle(0.9)
        assert not durable.done()
        await bench.settle(0.2)
        assert durable.done()
        assert (bench.account.spooled, bench.account.in_memory) == (10, 0)
        assert "down" in (bench.account.problem or "")
        bench.store.down = False
        await bench.settle(60)
        assert await receipt.stored() == {"memory": Tally(stored=10)}
        assert bench.account.problem is None
    assert bench.spool.status().entries == 0


async def test_a_restart_goes_on_where_the_last_one_ended() -> None:
    """What the end could not store is in the spool, and the next writer stores it."""
    bench = Bench()
    bench.store.down = True
    async with bench.writer.running() as writer:
        receipt = await writer.submit(results(10))
    await receipt.durable()
    with pytest.raises(UnavailableError, match="waits in the spool"):
        await receipt.stored()
    assert bench.account.spooled == bench.spool.status().results == 10
    bench.store.down = False
    bench.writer = bench.build(bench.spool)
    async with bench.writer.running():
        assert bench.account.recovered == 10
        await bench.settle(1)
        assert bench.stored == set(results(10))
        assert bench.account.tally == Tally(stored=10)


async def test_live_results_come_before_the_backlog() -> None:
    """After an outage what comes in is stored before what waits, and the backlog at its rate."""
    bench = Bench(pace=Pace(rows=100, drain_rate=100))
    # So the next try is soon after, and not at random later than what came in is spooled too.
    bench.store.down, bench.store.retry_after = True, timedelta(seconds=2.2)
    async with bench.writer.running() as writer:
        for n in range(10):
            await writer.submit(results(100, since=n * 100))
        await bench.settle(2)
        assert bench.account.spooled == 1_000
        bench.store.down = False
        await writer.submit(results(1, since=5_000))
        for _ in range(400):
            await bench.settle(0.1)
            if bench.stored:
                break
        assert results(1, since=5_000)[0] in bench.stored
        left = bench.account.spooled
        await bench.settle(2)
        assert 0 < left - bench.account.spooled <= 400
        await bench.settle(30)
        assert bench.account.tally == Tally(stored=1_001)


async def test_a_probe_is_small_and_alone() -> None:
    """A store that was down is asked with one small batch, ever more rarely, until it answers."""
    bench = Bench()
    bench.store.down = True
    async with bench.writer.running() as writer:
        for n in range(50):
            await writer.submit(results(50, since=n * 50))
        await bench.settle(0.1)
        first = len(bench.store.batches)
        await bench.settle(120)
        probes = bench.store.batches[first:]
        assert 3 <= len(probes) <= 60
        assert max(len(bench.store.batches[:first]), 0) <= 2
        bench.store.down = False
        await bench.settle(90)
        assert bench.account.tally.stored == 2_500


async def test_a_time_that_the_store_asks_for_is_kept() -> None:
    """With `retry_after` nothing is sent before."""
    bench = Bench()
    bench.store.down, bench.store.retry_after = True, timedelta(minutes=5)
    async with bench.writer.running() as writer:
        await writer.submit(results(1))
        await bench.settle(0.1)
        assert bench.store.batches == [1]
        bench.store.down = False
        await bench.settle(299)
        assert bench.store.batches == [1]
        await bench.settle(2)
        assert bench.account.tally.stored == 1


async def test_what_is_under_way_for_long_becomes_durable() -> None:
    """A store that hangs does not keep results in memory alone; stored, they leave the spool."""
    bench = Bench()
    bench.store.held = asyncio.Event()
    async with bench.writer.running() as writer:
        receipt = await writer.submit(results(10))
        await bench.settle(1.5)
        await receipt.durable()
        assert bench.spool.status().results == 10
        assert (bench.account.in_flight, bench.account.spooled) == (10, 0)
        bench.store.held.set()
        await bench.settle()
        assert bench.account.tally == Tally(stored=10)
        assert bench.spool.status().results == 0


async def test_what_lands_while_it_is_spooled_leaves_the_spool(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A batch whose answer comes while it is written to the spool is not sent again from there."""
    bench = Bench()
    gate, append = asyncio.Event(), bench.spool.append

    class Slow(InMemorySpool):
        async def append(self, results: Sequence[CheckResult]) -> int | None:
            number = await append(results)
            await gate.wait()
            return number

    bench.spool.__class__ = Slow
    bench.store.held = asyncio.Event()
    async with bench.writer.running() as writer:
        await writer.submit(results(10))
        await bench.settle(1.5)
        bench.store.held.set()
        await bench.settle()
        assert bench.account.tally == Tally(stored=10)
        gate.set()
        await bench.settle(3)
        assert (bench.spool.status().entries, bench.account.pending) == (0, 0)
        assert bench.store.batches == [10]
    assert not caplog.records


async def test_what_the_spool_cannot_forget_is_sent_once() -> None:
    """A disk that refuses to note what is stored makes nobody send or count it again."""
    bench = Bench()
    bench.store.down = True
    async with bench.writer.running() as writer:
        await writer.submit(results(10))
        await bench.settle(1.5)
        bench.store.down = False
        with bench.state.faults.fail("Spool.settle"):
            await bench.settle(60)
            assert bench.account.tally == Tally(stored=10)
            sent = len(bench.store.batches)
            await bench.settle(60)
            assert len(bench.store.batches) == sent
        await bench.settle(3)
        assert bench.spool.status().entries == 0


async def test_one_store_does_not_hold_another() -> None:
    """While one of two stores is down, the other one gets everything."""
    bench, other = Bench(), Bench()
    other.store.down = True
    writer = ResultWriter(
        {"up": bench.store, "down": other.store},
        {"up": bench.spool, "down": other.spool},
        fake_timing(bench.clock),
        grace=timedelta(0),
    )
    async with writer.running():
        receipt = await writer.submit(results(10))
        await bench.settle(1.5)
        await receipt.durable()
        accounts = writer.account()
        assert accounts["up"].tally == Tally(stored=10)
        assert accounts["down"].spooled == 10
        other.store.down = False
        await bench.settle(60)
        assert await receipt.stored() == {"up": Tally(stored=10), "down": Tally(stored=10)}
        for account in writer.account().values():
            check(account)


async def test_a_failure_that_no_port_has_loses_nothing() -> None:
    """What a bug of an adapter raises is like an outage."""
    bench = Bench()
    async with bench.writer.running() as writer:

        async def buggy(*_: object) -> None:
            raise KeyError("no")

        bench.store.__class__.record, kept = buggy, bench.store.__class__.record  # type: ignore[method-assign, assignment]
        try:
            await writer.submit(results(3))
            await bench.settle(3)
        finally:
            bench.store.__class__.record = kept  # type: ignore[method-assign]
        assert "KeyError" in (bench.account.problem or "")
        assert bench.account.pending == 3
        await bench.settle(60)
        assert bench.account.tally.stored == 3


# Poison


@pytest.mark.parametrize("size", [2, 100])
async def test_poison_is_put_aside_and_the_rest_is_stored(size: int) -> None:
    """Of a batch with bad results those alone are buried, with what the store said."""
    bench = Bench()
    batch = results(size)
    bench.store.poison = {batch[0], *batch[60:62]}
    bad = len(bench.store.poison & set(batch))
    async with bench.writer.running() as writer:
        receipt = await writer.submit(batch)
        for _ in range(20):
            await bench.settle(60)
        assert await receipt.stored() == {"memory": Tally(stored=size - bad, dead=bad)}
        assert bench.stored == set(batch) - bench.store.poison
        assert {each for each, _ in bench.spool.buried} == bench.store.poison
        assert all("does not like" in reason for _, reason in bench.spool.buried)
        assert len(bench.store.batches) < 60


async def test_rejected_results_are_put_aside() -> None:
    """What the store itself finds out to be bad is buried with what it said."""
    bench = Bench()
    batch = results(10)
    bench.store.rejects = {batch[4]}
    async with bench.writer.running() as writer:
        receipt = await writer.submit(batch)
        await bench.settle(0.1)
        assert await receipt.stored() == {"memory": Tally(stored=9, dead=1)}
        assert bench.spool.buried == [(batch[4], "memory: out of its range")]


async def test_a_store_that_takes_nothing_buries_nothing() -> None:
    """Where no result is taken, as without a right, all wait until somebody mends it."""
    bench = Bench()
    bench.store.broken = True
    async with bench.writer.running() as writer:
        receipt = await writer.submit(results(100))
        await bench.settle(30)
        assert (bench.account.pending, bench.spool.buried) == (100, [])
        assert "does not like" in (bench.account.problem or "")
        bench.store.broken = False
        await bench.settle(60)
        assert await receipt.stored() == {"memory": Tally(stored=100)}


@pytest.mark.parametrize("rejecting", [20, 5_000])
@pytest.mark.parametrize("size", [1, 20, 21, 200])
async def test_a_store_that_rejects_everything_buries_nothing(size: int, rejecting: int) -> None:
    """Where every result is rejected, at once or by halves, all wait until somebody mends it."""
    bench = Bench()
    bench.store.rejecting = rejecting
    async with bench.writer.running() as writer:
        receipt = await writer.submit(results(size))
        for n in range(5):
            await writer.submit(results(1, since=1_000 + n))
            await bench.settle(40)
        assert (bench.account.pending, bench.spool.buried) == (size + 5, [])
        assert bench.account.problem is not None
        bench.store.rejecting = None
        await bench.settle(90)
        assert await receipt.stored() == {"memory": Tally(stored=size)}


async def test_many_that_are_rejected_together_wait() -> None:
    """Where none of many is stored, all of these wait, whatever else is stored in between."""
    bench = Bench()
    batch = results(21)
    bench.store.rejects = set(batch)
    async with bench.writer.running() as writer:
        await writer.submit(batch)
        await bench.settle(60)
        assert (bench.account.pending, bench.spool.buried) == (21, [])
        assert "out of its range" in (bench.account.problem or "")
        await writer.submit(results(21, since=100))
        await bench.settle(90)
        assert bench.stored == set(results(21, since=100))


async def test_old_results_prove_nothing() -> None:
    """A store that refuses some as too old, and fails over the others, has taken none."""
    bench = Bench()
    batch, old = results(10), results(1, since=-100 * 86_400_000)
    bench.store.poison = set(batch)
    async with bench.writer.running() as writer:
        await writer.submit(batch + old)
        await bench.settle(60)
        assert (bench.account.tally.dead, bench.account.pending) == (0, 10)


@pytest.mark.parametrize("fault", ["poison", "rejects"])
async def test_a_lone_bad_result_waits_for_company(fault: str) -> None:
    """A single result that fails, or is rejected, is buried once others were stored in between."""
    bench = Bench()
    bad, *good = results(4)
    setattr(bench.store, fault, {bad})
    async with bench.writer.running() as writer:
        await writer.submit([bad])
        await bench.settle(10)
        assert bench.account.pending == 1
        await bench.settle(60)
        assert bench.account.pending == 1
        await bench.one_by_one(good)
        assert bench.account.tally == Tally(stored=3, dead=1)


async def test_a_bad_result_does_not_hold_what_waits_behind_it() -> None:
    """After an outage small batches are tried: one that is bad alone gets company at the next."""
    bench = Bench(write_through=True)
    (bad,) = results(1)
    bench.store.poison = {bad}
    bench.store.down = True
    async with bench.writer.running() as writer:
        await writer.submit([bad])
        await writer.submit(results(150, since=1))  # too many for a small batch
        await bench.settle(35)
        bench.store.down = False
        for _ in range(5):
            await bench.settle(35)
        assert bench.account.tally == Tally(stored=150, dead=1)
        assert bench.account.pending == 0


async def test_what_cannot_be_put_aside_waits() -> None:
    """While the disk takes no dead letter, bad results have no fate, and the good ones have."""
    bench = Bench()
    batch = results(10)
    bench.store.poison = {batch[3]}
    async with bench.writer.running() as writer:
        with bench.state.faults.fail("Spool.bury"):
            receipt = await writer.submit(batch)
            await bench.settle(5)
            assert bench.account.tally == Tally(stored=9)
            assert bench.account.pending == 1
        await bench.one_by_one(results(3, since=100))
        assert await receipt.stored() == {"memory": Tally(stored=9, dead=1)}


async def test_what_cannot_be_put_aside_is_not_sent_all_the_time() -> None:
    """While the disk takes no dead letter the store is left alone, ever longer."""
    bench = Bench()
    batch = results(10)
    bench.store.rejects = set(batch[:5])
    async with bench.writer.running() as writer:
        with bench.state.faults.fail("Spool.bury", "Spool.append"):
            await writer.submit(batch[:5])
            await bench.settle(1)
            await writer.submit(batch[5:])
            await bench.settle(60)
            assert (bench.account.tally, bench.account.pending) == (Tally(stored=5), 5)
            assert len(bench.store.batches) < 60
        await bench.one_by_one(results(3, since=100))
        assert bench.account.tally == Tally(stored=8, dead=5)


# Where there is no room


async def fill(bench: Bench, *, until: int = 40) -> list[asyncio.Task[object]]:
    """Submit much more than fits while the store is down; return the calls."""
    bench.store.down = True
    calls = [
        asyncio.create_task(bench.writer.submit(results(50, since=n * 50))) for n in range(until)
    ]
    await bench.settle(5)
    return calls  # type: ignore[return-value]


@pytest.mark.parametrize("write_through", [False, True])
async def test_block_waits_for_room(*, write_through: bool) -> None:
    """With no room left whoever submits waits; nothing is lost, and all goes on afterwards."""
    bench = Bench(pace=SMALL, limit_bytes=60_000, write_through=write_through)
    async with bench.writer.running():
        calls = await fill(bench)
        assert 0 < sum(call.done() for call in calls) < 40
        assert bench.account.problem is not None
        bench.store.down = False
        await bench.settle(120)
        assert all(call.done() for call in calls)
        assert bench.account.tally == Tally(stored=2_000)


@pytest.mark.parametrize("write_through", [False, True])
async def test_drop_oldest_keeps_the_newest(*, write_through: bool) -> None:
    """With no room left what waited longest is dropped, unless it is just being sent."""
    bench = Bench(
        pace=SMALL, limit_bytes=60_000, when_full=WhenFull.DROP_OLDEST, write_through=write_through
    )
    async with bench.writer.running():
        calls = await fill(bench)
        assert all(call.done() for call in calls)
        dropped = bench.account.tally.dropped
        assert 0 < dropped < 2_000
        bench.store.down = False
        await bench.settle(120)
        account = bench.account
        assert account.tally == Tally(stored=2_000 - dropped, dropped=dropped)
        assert len(account.dropped_by_tenant) == 1
        assert bench.stored > set(results(300, since=1_700))
        assert len(bench.stored) == 2_000 - dropped


@pytest.mark.parametrize("write_through", [False, True])
async def test_refuse_says_so(*, write_through: bool) -> None:
    """With no room left what is submitted is refused, and what was taken is stored later."""
    bench = Bench(
        pace=SMALL, limit_bytes=60_000, when_full=WhenFull.REFUSE, write_through=write_through
    )
    async with bench.writer.running():
        calls = await fill(bench)
        refused = [call for call in calls if isinstance(call.exception(), UnavailableError)]
        assert 0 < len(refused) < 40
        assert bench.account.tally == Tally(refused=50 * len(refused))
        bench.store.down = False
        await bench.settle(120)
        assert bench.account.tally.stored == 2_000 - 50 * len(refused)


@pytest.mark.parametrize("write_through", [False, True])
async def test_a_disk_that_refuses_holds_nothing_else(*, write_through: bool) -> None:
    """While the disk fails results stay in memory; without write-through they are stored."""
    bench = Bench(write_through=write_through)
    async with bench.writer.running() as writer:
        with bench.state.faults.fail("Spool.append"):
            call = asyncio.create_task(writer.submit(results(10)))
            await bench.settle(3)
            assert call.done() is not write_through
            assert bench.account.tally.stored == (0 if write_through else 10)
        await bench.settle(3)
        assert bench.account.tally.stored == 10


async def test_a_spool_that_cannot_be_read_is_told_of() -> None:
    """While the disk cannot be read the backlog waits; afterwards all is well again."""
    bench = Bench()
    bench.store.down = True
    async with bench.writer.running() as writer:
        await writer.submit(results(10))
        await bench.settle(1.5)
        bench.store.down = False
        with bench.state.faults.fail("Spool.read"):
            await bench.settle(40)
            await writer.submit(results(1, since=100))
            await bench.settle(40)
            assert bench.account.problem == "failed on demand"
            assert bench.account.tally == Tally(stored=1)
        await bench.settle(3)
        assert bench.account.problem is None
        assert bench.account.tally == Tally(stored=11)


# Write-through


async def test_write_through_is_durable_at_once() -> None:
    """`submit` returns once the results are in the spool; many calls share one entry."""
    bench = Bench(write_through=True)
    async with bench.writer.running() as writer:
        await asyncio.gather(*(writer.submit([each]) for each in results(20)))
        assert bench.spool.status().results == 20
        assert bench.spool.status().entries <= 2
        await bench.settle(0.1)
        assert bench.account.tally == Tally(stored=20)
        assert bench.spool.status().results == 0


async def test_a_call_that_is_cancelled_is_accounted_for() -> None:
    """Who gives up waiting takes nothing back."""
    bench = Bench(write_through=True)
    async with bench.writer.running() as writer:
        with bench.state.faults.fail("Spool.append"):
            call = asyncio.create_task(writer.submit(results(3)))
            await quiet()
            call.cancel()
            await quiet()
        await bench.settle(3)
        assert bench.account.tally == Tally(stored=3)


# The end


async def test_the_end_flushes() -> None:
    """What lingers is stored before the writer is closed."""
    bench = Bench()
    writer = ResultWriter(
        {"memory": bench.store}, {"memory": bench.spool}, fake_timing(bench.clock)
    )
    async with writer.running():
        receipt = await writer.submit(results(10))
    assert await receipt.stored() == {"memory": Tally(stored=10)}
    assert bench.spool.status().entries == 0


async def test_the_end_does_not_wait_for_ever() -> None:
    """A store that hangs is left after the grace time; everything is in the spool."""
    bench = Bench()
    bench.store.held = asyncio.Event()
    async with bench.writer.running() as writer:
        receipt = await writer.submit(results(10))
        await bench.settle(0.1)
        await writer.submit(results(10, since=10))
    assert bench.spool.status().results == 20
    assert bench.account.spooled == 20
    await receipt.durable()


async def test_the_end_drops_what_has_no_room() -> None:
    """Without store, disk and time nothing can be kept, and that is counted."""
    bench = Bench(limit_bytes=1_000)
    bench.store.down = True
    async with bench.writer.running() as writer:
        receipt = await writer.submit(results(10))
    assert bench.account.tally == Tally(dropped=10)
    with pytest.raises(UnavailableError, match="room"):
        await receipt.durable()


async def test_a_start_that_fails_leaves_nothing_open() -> None:
    """Where the second spool cannot be opened, the first one is given up."""
    bench, other = Bench(), Bench()
    closed: list[str] = []

    class Watched(InMemorySpool):
        async def close(self) -> None:
            closed.append("first")
            await super().close()

    writer = ResultWriter(
        {"a": bench.store, "b": other.store},
        {"a": Watched(bench.state), "b": other.spool},
        fake_timing(bench.clock),
    )
    with other.state.faults.fail("Spool.open"), pytest.raises(UnavailableError):
        async with writer.running():
            pytest.fail("it must not start")
    assert closed == ["first"]


async def test_accounts_of_two_tenants() -> None:
    """Drops are counted by tenant."""
    bench = Bench(limit_bytes=12_000, when_full=WhenFull.DROP_OLDEST)
    bench.store.down, bench.store.retry_after = True, timedelta(hours=1)
    mine, yours = (TenantId.new(), MonitorId.new()), (TenantId.new(), MonitorId.new())
    async with bench.writer.running() as writer:
        for monitor in (mine, yours, yours):
            await writer.submit(results(50, monitor=monitor))
            await bench.settle(2)
        assert bench.account.dropped_by_tenant == {mine[0]: 50}
        assert isinstance(results(1)[0], CheckResult)
