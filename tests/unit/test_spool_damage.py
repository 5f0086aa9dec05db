"""A spool on a disk that lies: power loss, flipped bits, cut-off files, calls that fail."""

from __future__ import annotations

import errno
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Final

import pytest
from tests.fixtures.disk import Content, SimulatedFolder
from tests.fixtures.writing import results

from urlmon.errors import UnavailableError
from urlmon.testing.clock import FakeClock
from urlmon_adapters.spool import FileSpool
from urlmon_adapters.spool._aside import Aside
from urlmon_adapters.spool._segments import Raw, Segments

if TYPE_CHECKING:
    from tests.fixtures.campaign import CampaignSize, Progress

    from urlmon.domain.check_results import CheckResult

LIMIT: Final = 1 << 20
SEGMENT_SIZE: Final = 600


def opened(folder: SimulatedFolder, *, limit: int = LIMIT) -> Segments:
    """Open the segments of a folder, small ones."""
    aside = Aside(folder)
    segments = Segments(folder, aside, limit=limit)
    segments._segment_size = SEGMENT_SIZE
    aside.open()
    segments.open()
    return segments


def everything(segments: Segments) -> list[Raw]:
    """Read all that is not settled."""
    return segments.read(after=0, without=(), limit=1 << 30)


# Power loss


class Program:
    """Random calls on segments, and what must be found whatever happens."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.folder = SimulatedFolder()
        self.segments = opened(self.folder)
        self.safe: dict[int, bytes] = {}  # appended and not settled
        self.written: set[bytes] = set()

    def step(self) -> None:
        """Do one thing."""
        choice = self.random.random()
        if choice < 0.7:
            payload = self.random.randbytes(self.random.choice([1, 30, 300, 1_500]))
            self.written.add(payload)
            number = self.segments.append(payload, 1)
            assert number is not None
            self.safe[number] = payload
        elif choice < 0.9 and self.safe:
            settled = self.random.sample(sorted(self.safe), self.random.randint(1, len(self.safe)))
            self.segments.settle(settled)
            for number in settled:
                del self.safe[number]
        else:
            self.segments.close()
            self.segments = opened(self.folder)

    def begin_to_write(self) -> None:
        """Be in the midst of a call when the power goes."""
        self.folder.calls, self.folder.error = 0, errno.EIO
        self.folder.fails_at, self.folder.for_good = self.random.randint(1, 6), True
        payload = self.random.randbytes(700)
        self.written.add(payload)
        with suppress(OSError):
            self.segments.append(payload, 1)
        self.folder.fails_at = None

    def lose_power(self) -> None:
        """Lose the power, come back, and look."""
        if self.random.random() < 0.5:
            self.begin_to_write()
        self.folder = self.folder.power_loss(self.random)
        self.segments = opened(self.folder)
        found = {raw.number: raw.payload for raw in everything(self.segments)}
        assert self.safe.items() <= found.items()
        assert set(found.values()) <= self.written
        self.safe = {number: payload for number, payload in found.items() if payload is not None}


@pytest.mark.campaign
def test_power_loss(campaign_size: CampaignSize, progress: Progress) -> None:
    """After any power loss what was appended is there, and nothing that never was."""
    size = campaign_size(20_000)
    for seed in range(size):
        progress(seed, size)
        program = Program(Random(seed))  # noqa: S311 - a seeded program
        for _ in range(3):
            for _ in range(program.random.randint(1, 12)):
                program.step()
            program.lose_power()


# Flipped bits and cut-off files


def small_spool() -> tuple[SimulatedFolder, dict[int, bytes], dict[int, tuple[str, int, int]]]:
    """Make three segments; return what is not settled, and where each entry stands."""
    folder = SimulatedFolder()
    segments = opened(folder)
    random = Random(1)  # noqa: S311 - the same bytes every time
    payloads: dict[int, bytes] = {}
    places: dict[int, tuple[str, int, int]] = {}
    for _ in range(12):
        payload = random.randbytes(100)
        number = segments.append(payload, 1)
        assert number is not None
        part = segments._parts[-1]
        payloads[number] = payload
        places[number] = part.name, part.size - 128, part.size
    segments.settle([2, 6])
    del payloads[2], payloads[6]
    assert len(segments._parts) == 3
    return folder, payloads, places


def copied(folder: SimulatedFolder, name: str, data: bytes) -> SimulatedFolder:
    """Return a copy of a folder in which one file holds something else."""
    files = {each: Content(bytes(content.data)) for each, content in folder.files.items()}
    return SimulatedFolder(files | {name: Content(data)})


def test_every_bit_of_a_small_spool() -> None:
    """A flipped bit costs the entry that it is in, which is kept aside, and no other."""
    folder, payloads, places = small_spool()
    for name, content in folder.files.items():
        for at in range(len(content.data)):
            for bit in (1, 16, 128):
                data = bytearray(content.data)
                data[at] ^= bit
                damaged = copied(folder, name, bytes(data))
                segments = opened(damaged)
                found = {raw.number: raw.payload for raw in everything(segments)}
                lost = payloads.keys() - found.keys()
                hit = {
                    n
                    for n, (file, start, end) in places.items()
                    if file == name and start <= at < end
                }
                assert lost <= hit
                assert segments.damaged == len(lost)
                extra = found.keys() - payloads.keys()
                assert extra <= ({2, 6} if name.endswith(".settled") else set())
                assert all(found[n] == payloads[n] for n in found.keys() & payloads.keys())
                assert len(lost) == (len(hit & payloads.keys()) if name.endswith(".spool") else 0)
                assert sum(n.startswith("damaged-") for n in damaged.files) == bool(lost)
                again = opened(damaged)  # it is told of once
                assert again.damaged == 0
                assert {raw.number for raw in everything(again)} == found.keys()


def test_every_bit_while_it_is_open() -> None:
    """What is damaged after the opening is handed out as damaged, and the rest as it was."""
    folder, payloads, places = small_spool()
    for number, (name, start, end) in places.items():
        for at in range(start, end, 3):
            damaged = copied(folder, name, bytes(folder.files[name].data))
            segments = opened(damaged)
            damaged.files[name].data[at] ^= 4
            found = {raw.number: raw.payload for raw in everything(segments)}
            assert found.keys() == payloads.keys()
            assert {n for n, payload in found.items() if payload is None} == {number} & found.keys()


def test_every_length_of_every_file() -> None:
    """A file that was cut off costs what stood behind, and nothing else."""
    folder, payloads, places = small_spool()
    for name, content in folder.files.items():
        for length in range(len(content.data)):
            damaged = copied(folder, name, bytes(content.data[:length]))
            found = {raw.number: raw.payload for raw in everything(opened(damaged))}
            lost = payloads.keys() - found.keys()
            assert lost <= {
                n for n, (file, _, end) in places.items() if file == name and end > length
            }
            assert {n: found[n] for n in found if n in payloads}.items() <= payloads.items()


def test_entries_of_another_file_are_none() -> None:
    """A record that got into a wrong file, or into the text of a result, is not taken for one."""
    folder, payloads, places = small_spool()
    (first, start, end), (second, *_) = places[1], places[12]
    record = bytes(folder.files[first].data[start:end])
    segments = opened(copied(folder, second, bytes(folder.files[second].data) + record))
    assert {raw.number for raw in everything(segments)} == payloads.keys()


# Calls that fail


async def scenario(spool: FileSpool, safe: dict[int, list[CheckResult]]) -> None:
    """Do everything once; whatever fails is tried no further."""
    await spool.open()
    made = 0
    for round_ in range(3):
        for _ in range(4):
            batch = results(3, since=made)
            made += 3
            try:
                number = await spool.append(batch)
            except UnavailableError:
                continue
            if number is not None:
                safe[number] = batch
        try:
            for entry in await spool.read(after=0):
                assert entry.results == tuple(safe[entry.number])
            await spool.bury(batch[:1], reason="for a test")
        except UnavailableError:
            pass
        settled = sorted(safe)[: round_ + 1]
        await spool.settle(settled)
        for number in settled:
            del safe[number]


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EMFILE])
async def test_a_failure_at_every_call(error: int, *, for_good: bool) -> None:
    """Whichever call the disk refuses, once or from then on, only `UnavailableError` is raised.

    What `append` returned for is found again, and the next opening works.
    """
    healthy = SimulatedFolder()
    await scenario(FileSpool(healthy, FakeClock(), limit_bytes=10_000), {})
    assert healthy.calls > 50
    for at in range(1, healthy.calls + 10):
        folder = SimulatedFolder()
        folder.fails_at, folder.for_good, folder.error = at, for_good, error
        spool = FileSpool(folder, FakeClock(), limit_bytes=10_000)
        safe: dict[int, list[CheckResult]] = {}
        gave_up = False
        try:
            await scenario(spool, safe)
        except UnavailableError:
            gave_up = True  # the opening
        assert not (gave_up and safe)
        await spool.close()
        folder.fails_at = None
        spool = FileSpool(folder, FakeClock(), limit_bytes=10_000)
        await spool.open()
        found = {entry.number: list(entry.results) for entry in await spool.read(after=0)}
        assert safe.items() <= found.items()
        await spool.append(results(1))
        await spool.close()
