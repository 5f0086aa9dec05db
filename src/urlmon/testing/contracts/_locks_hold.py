"""What every `Locks.hold` must do."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from urlmon.errors import LeaseLostError
from urlmon.testing.contracts._leases import (
    HOUR,
    PATIENCE_SECONDS,
    TTL,
    assert_not_cancelled,
    is_held,
    leased,
    let_wait,
    outlive,
)
from urlmon.testing.contracts.isolation import refusal_of
from urlmon.testing.contracts.stores import WorkingStores


class HoldingContract:
    """What every `Locks.hold` must do."""

    async def test_hold(self, working: WorkingStores) -> None:
        """A name is held while the block runs, and not afterwards."""
        async with working.locks.hold("job", ttl=TTL) as lease:
            assert lease is not None
            assert await is_held(working)
            async with working.locks.hold("job", ttl=TTL) as second:
                assert second is None
        assert not await is_held(working)
        async with working.locks.hold("job", ttl=TTL) as again:
            assert again is not None
            assert again.fence > lease.fence

    async def test_hold_waits(self, working: WorkingStores) -> None:
        """A block that may wait begins when the name is given back."""
        lease = await leased(working)

        async def block() -> int:
            async with working.locks.hold("job", ttl=TTL, wait=HOUR) as held:
                assert held is not None
                return held.fence

        task = asyncio.create_task(block())
        await let_wait(working)
        await working.locks.release(lease)
        assert await asyncio.wait_for(task, PATIENCE_SECONDS) > lease.fence
        assert not await is_held(working)

    async def test_hold_renews(self, working: WorkingStores) -> None:
        """A block may run for many times `ttl`: its lease is renewed."""
        async with working.locks.hold("job", ttl=TTL):
            for _ in range(12):
                assert await is_held(working)
                await working.advance(TTL / 2)
        assert not await is_held(working)

    async def test_hold_lost(self, working: WorkingStores) -> None:
        """A block whose lease has ended is cancelled, and its loss is raised."""
        reached = []

        async def block() -> None:
            async with working.locks.hold("job", ttl=TTL):
                try:
                    await outlive(working)
                    reached.append("the end")
                except asyncio.CancelledError:
                    reached.append("the cancellation")
                    raise

        error = await refusal_of(block())
        assert isinstance(error, LeaseLostError)
        assert (error.name, error.operation) == ("job", "Locks.hold")
        assert reached == ["the cancellation"]
        assert_not_cancelled()
        assert not await is_held(working)

    async def test_hold_taken(self, working: WorkingStores) -> None:
        """A block whose lease was given away under it is cancelled at the next renewal."""

        async def block() -> None:
            async with working.locks.hold("job", ttl=TTL) as lease:
                assert lease is not None
                await working.locks.release(lease)
                await working.advance(TTL / 3)
                await asyncio.sleep(PATIENCE_SECONDS)

        before = asyncio.all_tasks()
        assert isinstance(await refusal_of(block()), LeaseLostError)
        assert asyncio.all_tasks() == before
        assert not await is_held(working)

    async def test_hold_lost_unnoticed(self, working: WorkingStores) -> None:
        """A block that swallows its cancellation still ends with the loss."""

        async def block() -> None:
            async with working.locks.hold("job", ttl=TTL):
                with suppress(asyncio.CancelledError):
                    await outlive(working)

        assert isinstance(await refusal_of(block()), LeaseLostError)
        assert_not_cancelled()

    async def test_hold_taken_unnoticed(self, working: WorkingStores) -> None:
        """A loss that was swallowed is raised also where the lease could have lasted longer."""

        async def block() -> None:
            async with working.locks.hold("job", ttl=TTL) as lease:
                assert lease is not None
                await working.locks.release(lease)
                with suppress(asyncio.CancelledError):
                    await working.advance(TTL / 3)
                    await asyncio.sleep(PATIENCE_SECONDS)

        assert isinstance(await refusal_of(block()), LeaseLostError)

    async def test_hold_tells(self, working: WorkingStores) -> None:
        """A block that wants to be told of the loss is not cancelled, and ends with the loss."""
        lost, reached = asyncio.Event(), []

        async def block() -> None:
            async with working.locks.hold("job", ttl=TTL, lost=lost) as lease:
                assert lease is not None
                await working.advance(TTL / 2)
                assert not lost.is_set()
                await working.advance(TTL)
                await asyncio.wait_for(lost.wait(), PATIENCE_SECONDS)
                await asyncio.sleep(0)
                reached.append("the end")

        error = await refusal_of(block())
        assert isinstance(error, LeaseLostError)
        assert (error.name, error.operation) == ("job", "Locks.hold")
        assert reached == ["the end"]
        assert_not_cancelled()
        assert not await is_held(working)

    async def test_hold_tells_of_taking(self, working: WorkingStores) -> None:
        """A block is told at the next renewal that its lease was given away under it."""
        lost = asyncio.Event()

        async def block() -> None:
            async with working.locks.hold("job", ttl=TTL, lost=lost) as lease:
                assert lease is not None
                await working.locks.release(lease)
                await working.advance(TTL / 3)
                await asyncio.wait_for(lost.wait(), PATIENCE_SECONDS)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):  # the block's own wins
            await block()

    async def test_hold_tells_nothing(self, working: WorkingStores) -> None:
        """A block that held the name to its end was told of no loss."""
        lost = asyncio.Event()
        async with working.locks.hold("job", ttl=TTL, lost=lost):
            await working.advance(TTL / 2)
        await working.advance(TTL)
        assert not lost.is_set()
        assert not await is_held(working)

    async def test_hold_tells_and_passes_cancellation(self, working: WorkingStores) -> None:
        """A cancellation from outside passes also from a block that was told of its loss."""
        lost = asyncio.Event()

        async def block() -> None:
            async with working.locks.hold("job", ttl=TTL, lost=lost):
                await outlive(working)

        async def ask() -> int:
            task = asyncio.current_task()
            assert task is not None
            try:
                await block()
            except asyncio.CancelledError:
                return task.cancelling()
            return -1

        task = asyncio.create_task(ask())
        await asyncio.wait_for(lost.wait(), PATIENCE_SECONDS)
        task.cancel()
        assert await asyncio.wait_for(task, PATIENCE_SECONDS) == 1

    async def test_hold_lost_and_cancelled(self, working: WorkingStores) -> None:
        """A cancellation from outside passes also from a block that was cancelled for its loss."""
        cleaning = asyncio.Event()

        async def block() -> None:
            async with working.locks.hold("job", ttl=TTL):
                try:
                    await outlive(working)
                finally:
                    cleaning.set()
                    await asyncio.sleep(PATIENCE_SECONDS)

        task = asyncio.create_task(block())
        await asyncio.wait_for(cleaning.wait(), PATIENCE_SECONDS)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    async def test_hold_lost_once(self, working: WorkingStores) -> None:
        """A block that cleans up after its loss is not cancelled a second time."""
        reached = []

        async def block() -> None:
            async with working.locks.hold("job", ttl=TTL) as lease:
                assert lease is not None
                await working.locks.release(lease)
                try:
                    await working.advance(TTL / 3)
                    await asyncio.sleep(PATIENCE_SECONDS)
                finally:
                    await working.advance(TTL)
                    await asyncio.sleep(0)
                    reached.append("the end")

        assert isinstance(await refusal_of(block()), LeaseLostError)
        assert reached == ["the end"]
        assert_not_cancelled()

    async def test_hold_of_what_is_cancelled(self, working: WorkingStores) -> None:
        """A block that meets a cancelled task ends with that, and not with a loss."""

        async def block() -> None:
            async with working.locks.hold("job", ttl=TTL):
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await block()
        assert not await is_held(working)

    async def test_hold_leaves_no_tasks(self, working: WorkingStores) -> None:
        """What kept the lease has ended when the block has."""
        before = asyncio.all_tasks()
        async with working.locks.hold("job", ttl=TTL):
            await working.advance(TTL / 2)
        assert asyncio.all_tasks() == before

    async def test_hold_passes_exceptions(self, working: WorkingStores) -> None:
        """An exception of the block passes, also from a block that lost its lease."""

        async def block(*, lose: bool) -> None:
            async with working.locks.hold("job", ttl=TTL):
                try:
                    if lose:
                        await outlive(working)
                finally:
                    raise ZeroDivisionError

        for lose in (False, True):
            with pytest.raises(ZeroDivisionError):
                await block(lose=lose)
            assert not await is_held(working)
            assert_not_cancelled()

    async def test_hold_passes_cancellation(self, working: WorkingStores) -> None:
        """A cancellation from outside passes, and the name is given back."""
        begun = asyncio.Event()

        async def block() -> None:
            async with working.locks.hold("job", ttl=TTL):
                begun.set()
                await asyncio.sleep(PATIENCE_SECONDS)

        task = asyncio.create_task(block())
        await asyncio.wait_for(begun.wait(), PATIENCE_SECONDS)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert not await is_held(working)
