"""The folder of a spool on a real disk: who may use it, what it is called, what is read of it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.writing import results

from urlmon.domain.check_results import LONGEST_MESSAGE, MAX_BATCH, CheckError, ErrorKind
from urlmon.domain.health import HealthStatus
from urlmon.errors import ConfigurationError, UnavailableError
from urlmon.testing.clock import FakeClock
from urlmon_adapters.spool import FileSpool, SpoolHealthCheck
from urlmon_adapters.spool._folder import DiskFolder

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 1 << 20


def spool_in(folder: Path, *, limit: int = LIMIT) -> FileSpool:
    """Return a spool, closed."""
    return FileSpool(folder, FakeClock(), limit_bytes=limit)


async def test_everything_is_private(tmp_path: Path) -> None:
    """Whatever the umask, nobody else can look into folder or files."""
    before = os.umask(0)
    try:
        spool = spool_in(tmp_path / "a" / "b")
        await spool.open()
        await spool.append(results(3))
        await spool.append(results(3))
        await spool.settle([1])
        await spool.bury(results(1), reason="for a test")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a" / "b").iterdir()}
    assert len(modes) == 4
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    await spool.close()


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
async def test_a_folder_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """The error names the folder, its mode and the remedy; mended, it opens."""
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    folder.chmod(mode)
    spool = spool_in(folder)
    with pytest.raises(
        ConfigurationError, match=rf"URLMON_SPOOL_DIR: .*spool.*{mode:03o}.*chmod 700"
    ):
        await spool.open()
    folder.chmod(0o700)
    await spool.open()
    await spool.close()


async def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """Results that others may have changed are not sent."""
    spool = spool_in(tmp_path / "spool")
    await spool.open()
    await spool.append(results(3))
    await spool.close()
    (segment,) = (tmp_path / "spool").glob("*.spool")
    segment.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        await spool.open()
    segment.chmod(0o600)
    assert (await spool.open()).results == 3
    await spool.close()


async def test_a_folder_that_is_none(tmp_path: Path) -> None:
    """A file in the place of the folder is told of."""
    (tmp_path / "spool").write_text("")
    for folder in (tmp_path / "spool", tmp_path / "spool" / "below"):
        with pytest.raises(ConfigurationError, match="URLMON_SPOOL_DIR"):
            await spool_in(folder).open()


async def test_one_owner_at_a_time(tmp_path: Path) -> None:
    """A second owner is told who has it; it gets it when the first one is done."""
    first, second = spool_in(tmp_path / "spool"), spool_in(tmp_path / "spool")
    await first.open()
    with pytest.raises(UnavailableError, match=f"process {os.getpid()} .*folder of its own"):
        await second.open()
    await first.append(results(2))
    await first.close()
    assert (await second.open()).results == 2
    await second.close()


async def test_a_dead_owner_is_none(tmp_path: Path) -> None:
    """What a process that was killed held can be had at once."""
    spool = spool_in(tmp_path / "spool")
    program = (
        "import asyncio, os, signal, sys\nfrom pathlib import Path\n"
        "from urlmon.testing.clock import FakeClock\nfrom urlmon_adapters.spool import FileSpool\n"
        "spool = FileSpool(Path(sys.argv[1]), FakeClock(), limit_bytes=1 << 20)\n"
        "asyncio.run(spool.open())\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = await asyncio.create_subprocess_exec(sys.executable, "-c", program, tmp_path / "spool")
    assert await done.wait() == -9
    await spool.open()
    await spool.close()


async def test_dead_letters_can_be_read(tmp_path: Path) -> None:
    """Each is a line of JSON with everything that a person needs."""
    spool = spool_in(tmp_path / "spool")
    await spool.open()
    await spool.bury(results(2), reason="no such table")
    await spool.bury(results(1), reason="another")
    (file,) = (tmp_path / "spool").glob("dead-letters-*.jsonl")
    letters = [json.loads(line) for line in file.read_text().splitlines()]
    assert [letter["reason"] for letter in letters] == ["no such table", "no such table", "another"]
    assert letters[0]["buried_at"] == "2026-06-15 12:00:00+00:00"
    assert letters[0]["result"]["tenant_id"] == str(results(1)[0].tenant_id)
    assert letters[0]["result"]["status_code"] == 200
    await spool.close()


async def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """What a person copied or renamed is neither read, nor counted, nor written to, nor removed."""
    strangers = [
        "copy.spool",
        "copy.settled",
        f"{1:016x}-{1:016x} (copy).spool",
        f"{1:016X}-{'AB' * 8}.spool",
        "dead-letters-read.jsonl",
        "dead-letters-00000009.jsonl.gz",
        "damaged-old.bin",
        "notes.txt",
    ]
    folder = tmp_path / "postgresql"
    folder.mkdir(mode=0o700)
    for name in strangers:
        (folder / name).write_text(name)
        (folder / name).chmod(0o600)
    spool = spool_in(folder)
    assert (await spool.open()).results == 0
    assert spool.status().aside_bytes == 0
    await spool.append(results(3))
    await spool.bury(results(1), reason="for a test")
    seen = await SpoolHealthCheck(tmp_path, ("postgresql",), FakeClock(), limit_bytes=LIMIT).check()
    assert dict(seen.details)["postgresql"].startswith("3 results wait")
    assert not any("disk sound" in problem for problem in seen.problems)
    await spool.close()
    assert (await spool.open()).results == 3
    await spool.close()
    assert (folder / "dead-letters-00000001.jsonl").exists()
    assert [name for name in strangers if (folder / name).read_text() != name] == []


async def test_a_page_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad place of the disk costs the entries that are in it, and not the file."""
    spool = spool_in(tmp_path / "spool")
    await spool.open()
    for n in range(30):
        await spool.append(results(10, since=n * 10))
    pread = os.pread

    def failing(descriptor: int, size: int, offset: int) -> bytes:
        if offset <= 9_000 < offset + size:
            raise OSError(errno.EIO, "bad place")
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", failing)
    found = await spool.read(after=0)
    assert sum(entry.damaged for entry in found) in range(1, 8)
    assert sum(not entry.damaged for entry in found) >= 22
    monkeypatch.undo()
    await spool.close()


async def test_the_largest_batch_fits_the_least_limit(tmp_path: Path) -> None:
    """5,000 failures with the longest texts there can be fit the least that settings allow."""
    error = CheckError(kind=ErrorKind.CONNECT, message="\N{GRINNING FACE}" * LONGEST_MESSAGE)
    status = {"status_code": None, "response_time_us": None}
    longest = results(MAX_BATCH, location="x" * 63, error=error, **status)
    spool = spool_in(tmp_path / "spool", limit=16 << 20)
    await spool.open()
    assert await spool.append(longest) is not None
    assert spool.status().size_bytes > 8 << 20
    await spool.close()


async def test_reading_is_lazy(tmp_path: Path) -> None:
    """Of a large file no more is read than is asked for."""
    spool = spool_in(tmp_path / "spool", limit=1 << 30)
    await spool.open()
    for n in range(40):
        await spool.append(results(1_000, since=n * 1_000))
    sizes: list[int] = []

    class Counting(DiskFolder):
        def read(self, name: str, offset: int, size: int) -> bytes:
            found = super().read(name, offset, size)
            sizes.append(len(found))
            return found

    spool._segments._folder = Counting(tmp_path / "spool")
    assert len(await spool.read(after=0, limit=1_000)) == 1
    assert sum(sizes) <= 1 << 21
    await spool.close()


# Health


async def test_health(tmp_path: Path) -> None:
    """It says what waits and since when; a backlog, dead letters and strange folders warn."""
    folder, clock = tmp_path / "spool", FakeClock()
    check = SpoolHealthCheck(folder, ("postgresql",), clock, limit_bytes=LIMIT)
    seen = await check.check()
    assert (seen.status, seen.details) == (HealthStatus.PASS, (("postgresql", "nothing waits"),))

    spool = spool_in(folder / "postgresql")
    await spool.open()
    await spool.append(results(1_000))
    seen = await check.check()
    told = "1000 results wait, the oldest since 2026-06-15 12:00:00Z"
    assert (seen.status, seen.details) == (HealthStatus.PASS, (("postgresql", told),))

    clock.advance(timedelta(minutes=2))
    await spool.bury(results(1), reason="for a test")
    other = spool_in(folder / "influxdb")
    await other.open()
    await other.append(results(1))
    seen = await check.check()
    assert seen.status is HealthStatus.WARN
    said = "\n".join(seen.problems)
    assert "waited for postgresql for more than a minute" in said
    assert "dead-letters" in said
    assert "influxdb, which is not used any more" in said
    for each in (spool, other):
        await each.settle([1])
        await each.close()


async def test_health_of_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    """What is no folder of spools fails, and says why."""
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / f"{1:016x}-{1:016x}.spool").mkdir()
    check = SpoolHealthCheck(tmp_path, ("postgresql",), FakeClock(), limit_bytes=LIMIT)
    assert (await check.check()).status is HealthStatus.FAIL
