"""Random programs on the result writer: every account adds up, and nothing durable is lost."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.fixtures.writing import Bench, check, results

from urlmon.domain.ids import MonitorId, TenantId
from urlmon.services.result_writer import Pace, WhenFull

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.fixtures.campaign import CampaignSize

    from urlmon.domain.check_results import CheckResult
    from urlmon.services.result_writer import Receipt

MONITORS: Final = [(TenantId.new(), MonitorId.new()) for _ in range(2)]
DAY_MS: Final = 86_400_000
DISK: Final = ["Spool.append", "Spool.read", "Spool.bury", "Spool.settle"]
PACE: Final = Pace(memory_bytes=40_000, rows=20)


class Writing(RuleBasedStateMachine):
    """Everything that can happen to a writer: outages, poison, full disks, restarts and crashes."""

    def __init__(self, runner: asyncio.Runner) -> None:
        super().__init__()
        self.runner = runner
        self.faults = ExitStack()
        self.safe: set[CheckResult] = set()
        self.made = 0
        self.calls: dict[asyncio.Task[Receipt], list[CheckResult]] = {}

    @initialize(when_full=st.sampled_from(WhenFull), write_through=st.booleans())
    def start(self, when_full: WhenFull, *, write_through: bool) -> None:
        """Begin with an empty spool."""
        self.when_full, self.write_through = when_full, write_through
        self.bench = Bench(limit_bytes=10_000)
        self.run(self.begin())

    def run(self, work: Coroutine[None, None, None]) -> None:
        """Do something, and let everything happen that then can."""

        async def step() -> None:
            await work
            await self.bench.settle()

        self.runner.run(step())

    async def begin(self) -> None:
        """Start a writer on what the one before has left."""
        self.stop = asyncio.Event()
        self.writer = self.bench.writer = self.bench.build(
            self.bench.spool,
            pace=PACE,
            when_full=self.when_full,
            write_through=self.write_through,
        )
        self.life = asyncio.create_task(self.live())

    async def live(self) -> None:
        """Be a process."""
        async with self.writer.running():
            await self.stop.wait()

    async def collect(self) -> None:
        """Note what is durable by now."""
        for call, batch in list(self.calls.items()):
            if not call.done():
                continue
            if call.cancelled() or call.exception() is not None:
                del self.calls[call]
                continue
            durable = asyncio.create_task(call.result().durable())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if durable.done():
                del self.calls[call]
                if durable.exception() is None:
                    self.safe.update(batch)
            else:
                durable.cancel()

    @rule(
        monitor=st.sampled_from(MONITORS),
        sizes=st.lists(st.integers(1, 25), min_size=1, max_size=3),
        since=st.sampled_from([0, 0, 0, 0, -100 * DAY_MS, DAY_MS]),
    )
    def submit(self, monitor: tuple[TenantId, MonitorId], sizes: list[int], since: int) -> None:
        """Submit results, several calls at once; some are too old or too new."""

        async def work() -> None:
            for size in sizes:
                batch = results(size, since=since + self.made, monitor=monitor)
                self.made += size
                call = asyncio.create_task(self.writer.submit(batch))
                self.calls[call] = batch

        self.run(work())

    @rule(share=st.integers(2, 9))
    def poison(self, share: int) -> None:
        """Have the store fail over some of what comes next."""
        for monitor in MONITORS:
            self.bench.store.poison.update(results(50, since=self.made, monitor=monitor)[::share])

    @rule(down=st.booleans(), broken=st.booleans())
    def outage(self, *, down: bool, broken: bool) -> None:
        """Take the store away, or its rights, or bring it back."""
        self.bench.store.down, self.bench.store.broken = down, broken

    @rule(hold=st.booleans())
    def freeze(self, *, hold: bool) -> None:
        """Have the store hang, or go on."""

        async def work() -> None:
            store = self.bench.store
            if store.held is not None:
                store.held.set()
            store.held = asyncio.Event() if hold else None

        self.run(work())

    @rule(operations=st.sets(st.sampled_from(DISK)))
    def disk(self, operations: set[str]) -> None:
        """Have the disk fail in some ways, or be well again."""
        self.faults.close()
        for operation in sorted(operations):
            self.faults.enter_context(self.bench.state.faults.fail(operation))

    @rule(operations=st.sets(st.sampled_from(DISK), min_size=1), seconds=st.sampled_from([1.5, 3]))
    def bad_day(self, operations: set[str], seconds: float) -> None:
        """Have the store down and the disk failing while results come in."""
        self.outage(down=True, broken=False)
        self.disk(operations)
        self.submit(MONITORS[0], [7, 3], 0)
        self.wait(seconds)

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 35.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.run(self.bench.settle(seconds))

    @rule()
    def restart(self) -> None:
        """End the process in good order, and start the next one."""

        async def work() -> None:
            self.stop.set()
            await self.life
            await self.collect()
            check(self.writer.account()["memory"])
            assert self.writer.account()["memory"].pending == self.bench.spool.status().results
            await self.forget()
            await self.begin()

        self.mend_disk()
        self.run(work())

    @rule()
    def crash(self) -> None:
        """Kill the process, and start the next one."""

        async def work() -> None:
            await self.collect()
            await self.forget()
            await self.kill()
            await self.begin()

        self.mend_disk()
        self.run(work())

    async def forget(self) -> None:
        """End the calls that still wait: their process is gone."""
        for call in self.calls:
            call.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)
        self.calls.clear()

    async def kill(self) -> None:
        """End everything that the writer does, at once."""
        current = asyncio.current_task()
        with self.bench.state.faults.fail():
            others = [each for each in asyncio.all_tasks() if each is not current]
            for each in others:
                each.cancel()
            await asyncio.wait(others)
        await self.bench.spool.close()

    def mend_disk(self) -> None:
        """Have the disk well again."""
        self.faults.close()

    @invariant()
    def accounts_add_up(self) -> None:
        """Whatever happened, submitted = stored + refused + dropped + dead + pending."""
        if hasattr(self, "writer"):
            self.run(self.collect())
            account = self.bench.account
            assert account.spooled <= account.spool.results

    def teardown(self) -> None:
        """At the end all is well for a while: everything gets its fate."""
        if hasattr(self, "writer"):
            self.mend_disk()
            self.runner.run(self.finish())

    async def finish(self) -> None:
        """Heal everything, wait, and look."""
        bench = self.bench
        bench.store.down = bench.store.broken = False
        if bench.store.held is not None:
            bench.store.held.set()
            bench.store.held = None
        for n in range(40):
            await bench.settle(35)
            await self.collect()
            if not bench.account.pending:
                break
            call = asyncio.create_task(self.writer.submit(results(1, since=self.made + n)))
            self.calls[call] = []
        assert not bench.account.pending, bench.account
        buried = {each for each, _ in bench.spool.buried}
        if self.when_full is WhenFull.BLOCK:
            kept = bench.stored | buried
            lost = [each for each in self.safe - kept if self.fits(each)]
            assert not lost
        assert buried <= bench.store.poison
        self.stop.set()
        await self.life
        check(self.writer.account()["memory"])

    def fits(self, result: CheckResult) -> bool:
        """Say whether the store keeps results of that time."""
        age = (self.bench.clock.now() - result.scheduled_at).total_seconds()
        return -200 < age < 80 * 86_400


@pytest.mark.campaign
def test_the_result_writer(campaign_size: CampaignSize) -> None:
    """Whatever happens, every result is accounted for, and what is durable gets its fate."""
    with asyncio.Runner() as runner:
        run_state_machine_as_test(
            lambda: Writing(runner),
            settings=settings(
                max_examples=campaign_size(800), stateful_step_count=30, deadline=None
            ),
        )
