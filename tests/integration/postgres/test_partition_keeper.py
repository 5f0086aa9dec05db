"""The keeper of partitions, as services and the command use it, with the least rights."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.fixtures.waiting import until

from urlmon.errors import InvalidValueError, StoreError
from urlmon.ports import Clock
from urlmon.testing.clock import FakeClock
from urlmon_adapters._partition_errors import PartitionsBusyError
from urlmon_adapters.clock import SystemClock
from urlmon_adapters.container import PersistenceContainer, running
from urlmon_adapters.postgres import Database, Pool
from urlmon_adapters.postgres.partitions import INTERVAL, PartitionKeeper
from urlmon_adapters.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

Connection = psycopg.Connection[tuple[object, ...]]

KEEP = timedelta(days=90)
INSERT = """
INSERT INTO check_results (tenant_id, monitor_id, location, scheduled_at, checked_at, success)
SELECT gen_random_uuid(), gen_random_uuid(), 'eu', at, at, true FROM unnest(%s::timestamptz[]) AS at
"""


@pytest.fixture(name="owner")
def _owner(postgres_url: str) -> Iterator[Connection]:
    """A session of the owner of the tables, in autocommit."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def keeper(postgres_service_pool: Pool) -> PartitionKeeper:
    """A keeper with the rights of a service."""
    return PartitionKeeper(Database(postgres_service_pool), SystemClock())


def month(ahead: int) -> datetime:
    """The first instant of a month, counted from the present one."""
    now = datetime.now(UTC)
    years, months = divmod(now.month - 1 + ahead, 12)
    return datetime(now.year + years, months + 1, 1, tzinfo=UTC)


def take_away(owner: Connection, *months_ahead: int) -> None:
    """Drop the partitions of some months."""
    for ahead in months_ahead:
        owner.execute(f"DROP TABLE check_results_{month(ahead):%Y_%m}".encode())


def make(owner: Connection, *days: str) -> None:
    """Make the partitions of some days."""
    for day in days:
        owner.execute("SELECT create_monthly_partition(%s::date)", [day])


async def bounds(keeper: PartitionKeeper) -> list[datetime | None]:
    """Return where each partition begins."""
    return [each.from_at for each in await keeper.list()]


async def test_the_list(keeper: PartitionKeeper, owner: Connection) -> None:
    """Every partition is there by time, with its bounds, size and rows, the default one last."""
    owner.execute(INSERT, [[str(month(0) + timedelta(hours=hour)) for hour in range(7)]])
    owner.execute("SELECT pg_stat_force_next_flush()")
    *months, default = await keeper.list()
    assert [(each.name, each.from_at, each.to_at) for each in months] == [
        (f"check_results_{month(ahead):%Y_%m}", month(ahead), month(ahead + 1))
        for ahead in range(4)
    ]
    assert [each.row_estimate for each in months] == [7, 0, 0, 0]
    assert months[0].size_bytes > months[1].size_bytes > 0
    assert not any(each.is_default for each in months)
    assert (default.name, default.from_at, default.to_at) == ("check_results_default", None, None)
    assert default.is_default
    assert default.row_estimate == 0


async def test_what_is_missing_is_made(keeper: PartitionKeeper, owner: Connection) -> None:
    """Months ahead and those of rows in the default partition are made, once."""
    take_away(owner, 1, 3)
    owner.execute(INSERT, [["2020-05-05Z"]])
    wanted = (date(2020, 5, 1), month(1).date(), month(3).date())
    before = await bounds(keeper)
    assert await keeper.ensure(dry_run=True) == wanted
    assert await bounds(keeper) == before
    assert await keeper.ensure() == wanted
    assert await keeper.ensure() == ()
    assert await bounds(keeper) == [
        datetime(2020, 5, 1, tzinfo=UTC),
        *(month(ahead) for ahead in range(4)),
        None,
    ]


async def test_old_partitions_are_dropped(keeper: PartitionKeeper, owner: Connection) -> None:
    """However many are past the limit, all go, and it is told what they were."""
    days = [f"{2005 + number}-03-31" for number in range(15)]
    make(owner, *days)
    wanted = [f"check_results_{day[:4]}_03" for day in days]
    assert [each.name for each in await keeper.drop(KEEP, dry_run=True)] == wanted
    assert len(await keeper.list()) == 20
    dropped = await keeper.drop(KEEP)
    assert [each.name for each in dropped] == wanted
    assert dropped[0].to_at == datetime(2005, 4, 1, tzinfo=UTC)
    assert dropped[0].size_bytes > 0
    assert await keeper.drop(KEEP) == ()
    assert len(await keeper.list()) == 5


async def test_a_limit_below_a_day_is_refused(keeper: PartitionKeeper) -> None:
    """What would take the present month is a mistake."""
    with pytest.raises(InvalidValueError, match="at least 1 day"):
        await keeper.drop(timedelta(hours=23))


@pytest.mark.parametrize("years", [-5, 5])
async def test_a_clock_that_nobody_shares_makes_nothing_old(
    postgres_service_pool: Pool, owner: Connection, years: int
) -> None:
    """While the server's clock is years off this machine's, nothing is dropped by it."""
    make(owner, "2020-05-05")
    clock = FakeClock(datetime.now(UTC) + timedelta(days=365 * years))
    keeper = PartitionKeeper(Database(postgres_service_pool), clock)
    with pytest.raises(StoreError, match=rf"\{-365 * years:+} days off"):
        await keeper.drop(KEEP)
    assert len(await keeper.list()) == 6


async def test_a_clock_that_leapt_is_told(
    keeper: PartitionKeeper, owner: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is dropped for a week, and the log says until when and why."""
    make(owner, "2020-05-05")
    owner.execute("UPDATE partition_clock SET seen_at = seen_at - interval '5 years'")
    assert await keeper.drop(KEEP) == ()
    (line,) = (each for each in caplog.messages if "partition" in each)
    assert line.startswith("no partition is dropped before 20")
    assert "The clock leapt forward" in line


async def test_a_busy_table_is_an_error_of_its_own(
    keeper: PartitionKeeper, owner: Connection, postgres_url: str
) -> None:
    """Where a reader does not let go, nothing is changed; the upkeep tries again another time."""
    make(owner, "2020-05-05")
    with psycopg.connect(postgres_url) as reader:
        reader.execute("SELECT count(*) FROM check_results")
        with pytest.raises(PartitionsBusyError, match="stayed locked"):
            await keeper.drop(KEEP)
        assert not await keeper.upkeep(KEEP)
    assert len(await keeper.list()) == 6
    assert await keeper.upkeep(KEEP)
    assert len(await keeper.list()) == 5


async def test_two_keepers(
    keeper: PartitionKeeper, owner: Connection, postgres_service_pool: Pool
) -> None:
    """While one changes something, the other passes at once."""
    take_away(owner, 3)
    other = PartitionKeeper(Database(postgres_service_pool), SystemClock())
    async with keeper._turn("test"):
        with pytest.raises(PartitionsBusyError, match="another process"):
            await other.ensure()
        assert not await other.upkeep(KEEP)
        assert len(await other.list()) == 4
    assert await other.upkeep(KEEP)
    assert len(await other.list()) == 5


async def test_many_keepers_at_once(keeper: PartitionKeeper, owner: Connection) -> None:
    """Whoever passes and whoever works, in the end all is as one of them would have left it."""
    take_away(owner, 0, 1, 2, 3)
    make(owner, "2020-05-05")
    outcomes = await asyncio.gather(*(keeper.upkeep(KEEP) for _ in range(6)))
    assert any(outcomes)
    await keeper.upkeep(KEEP)
    assert await bounds(keeper) == [*(month(ahead) for ahead in range(4)), None]


class Pauses:
    """Stands in for sleeping: tells when a pause begins, and lasts until the test says so."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[float] = asyncio.Queue()
        self._over: asyncio.Queue[None] = asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        """Wait for the end of the pause."""
        self.begun.put_nowait(seconds)
        await self._over.get()

    def end(self) -> None:
        """Let the pause be over."""
        self._over.put_nowait(None)


async def test_the_upkeep_in_the_background(keeper: PartitionKeeper, owner: Connection) -> None:
    """It works at once and after each pause of about six hours, until the block ends."""
    take_away(owner, 3)
    pauses = Pauses()
    async with keeper.running(KEEP, pause=pauses):
        lasted = await pauses.begun.get()
        assert 0.8 <= lasted / INTERVAL.total_seconds() <= 1.2
        assert len(await keeper.list()) == 5
        make(owner, "2020-05-05")
        pauses.end()
        await pauses.begun.get()
        assert len(await keeper.list()) == 5
    pauses.end()
    assert pauses.begun.empty()
    assert "urlmon upkeep of partitions" not in {task.get_name() for task in asyncio.all_tasks()}


class StoppedClock(Clock):
    """A clock that cannot be read until it is wound up."""

    def __init__(self) -> None:
        self.runs = False

    def now(self) -> datetime:
        """Return the present, if it can."""
        if not self.runs:
            raise RuntimeError("the clock stands still")
        return datetime.now(UTC)


async def test_the_upkeep_outlives_failures(
    postgres_service_pool: Pool, owner: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure is logged, whatever it is, and the next turn does the work."""
    clock, pauses = StoppedClock(), Pauses()
    keeper = PartitionKeeper(Database(postgres_service_pool), clock)
    make(owner, "2020-05-05")
    owner.execute("ALTER FUNCTION missing_months() RENAME TO lost")
    async with keeper.running(KEEP, pause=pauses):
        await pauses.begun.get()
        assert "PartitionKeeper.ensure (postgresql): a function is missing" in caplog.text
        assert "the clock stands still" not in caplog.text
        owner.execute("ALTER FUNCTION lost() RENAME TO missing_months")
        pauses.end()
        await pauses.begun.get()
        assert "the clock stands still" in caplog.text
        assert len(await keeper.list()) == 6
        clock.runs = True
        pauses.end()
        await pauses.begun.get()
        assert len(await keeper.list()) == 5


async def test_the_upkeep_ends_in_the_middle_of_its_work(
    keeper: PartitionKeeper, owner: Connection, postgres_url: str
) -> None:
    """A block that ends waits for nothing; what was begun is undone, and nothing stays locked."""
    take_away(owner, 3)
    waiting = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%%create_monthly_partition(%%'"
    with psycopg.connect(postgres_url) as holder:
        holder.execute("LOCK TABLE check_results IN SHARE ROW EXCLUSIVE MODE")
        started = asyncio.get_running_loop().time()
        async with keeper.running(KEEP):
            await until(lambda: owner.execute(f"{waiting} AND pid <> pg_backend_pid()").fetchone())
        assert asyncio.get_running_loop().time() - started < 2.5
    assert await keeper.ensure() == (month(3).date(),)


@pytest.mark.redis
@pytest.mark.parametrize(("migrate", "made"), [("verify", 1), ("run", 1), ("off", 0)])
async def test_a_running_container_keeps_the_partitions(
    postgres_url: str,
    postgres_service_url: str,
    redis_url: str,
    owner: Connection,
    migrate: str,
    made: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A start makes what is missing, but leaves alone a schema that it does not look at."""
    caplog.set_level(logging.INFO, logger="urlmon.partitions")
    take_away(owner, 3)
    settings = Settings.load(
        {
            "DATABASE_URL": postgres_service_url,
            "URLMON_MIGRATION_URL": postgres_url,
            "REDIS_URL": redis_url,
            "URLMON_MIGRATE": migrate,
        }
    )
    async with running(PersistenceContainer(settings=settings)) as stores:
        if made:
            await until(lambda: "made the partitions of" in caplog.text)
        assert len(await stores.partitions().list()) == 4 + made
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert names.count("urlmon upkeep of partitions") == names.count("urlmon sweep") == made
