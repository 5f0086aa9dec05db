"""`create_monthly_partition` and `drop_old_partitions`, as psql and the library call them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

Connection = psycopg.Connection[tuple[object, ...]]

INSERT = """
INSERT INTO check_results (tenant_id, monitor_id, location, scheduled_at, checked_at, success)
SELECT gen_random_uuid(), gen_random_uuid(), 'eu', at, at, true FROM unnest(%s::timestamptz[]) AS at
"""
PARTITIONS = """
SELECT partition::text, to_char(from_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
    to_char(to_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
FROM check_result_partitions() ORDER BY from_at
"""
PLACES = """
SELECT tableoid::regclass::text, count(*) FROM check_results GROUP BY 1 ORDER BY 1
"""


@pytest.fixture(name="db")
def _db(postgres_url: str) -> Iterator[Connection]:
    """A session in autocommit, as that of psql."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def call(db: Connection, query: str) -> list[object]:
    return [value for (value,) in db.execute(query.encode()).fetchall()]


def month(offset: int) -> tuple[str, str, str]:
    """Name and bounds of the partition of a month, counted from the present one."""
    now = datetime.now(UTC)
    first, end = (
        datetime(now.year + months // 12, months % 12 + 1, 1, tzinfo=UTC)
        for months in (now.month - 1 + offset, now.month + offset)
    )
    return f"check_results_{first:%Y_%m}", f"{first:%Y-%m-%d %H:%M}", f"{end:%Y-%m-%d %H:%M}"


def test_the_migration_makes_four_months(db: Connection) -> None:
    """This month and three to come are there from the start; making them again makes nothing."""
    assert db.execute(PARTITIONS).fetchall() == [month(offset) for offset in range(4)]
    assert call(db, "SELECT create_monthly_partition()") == []


def test_what_is_missing_is_made(db: Connection) -> None:
    """Without an argument the same four months are brought back, whatever else there is."""
    db.execute(f"DROP TABLE {month(0)[0]}, {month(2)[0]}".encode())
    assert call(db, "SELECT create_monthly_partition()") == [month(0)[0], month(2)[0]]
    assert db.execute(PARTITIONS).fetchall() == [month(offset) for offset in range(4)]


@pytest.mark.parametrize(
    ("timezone", "datestyle"),
    [
        ("UTC", "ISO, MDY"),
        ("America/New_York", "SQL, DMY"),
        ("Asia/Kolkata", "German"),
        ("Pacific/Apia", "Postgres, MDY"),
    ],
)
def test_bounds_are_months_in_utc(db: Connection, timezone: str, datestyle: str) -> None:
    """The session's time zone and date style change neither bounds nor what is found to exist."""
    db.execute("SELECT set_config('timezone', %s, false)", [timezone])
    db.execute("SELECT set_config('datestyle', %s, false)", [datestyle])
    for day in ("2020-02-29", "2019-12-01", "2020-02-01", "2019-12-31"):
        db.execute("SELECT create_monthly_partition(%s::date)", [day])
    assert db.execute(PARTITIONS).fetchall()[:2] == [
        ("check_results_2019_12", "2019-12-01 00:00", "2020-01-01 00:00"),
        ("check_results_2020_02", "2020-02-01 00:00", "2020-03-01 00:00"),
    ]
    assert call(db, "SELECT create_monthly_partition()") == []
    db.execute(INSERT, [["2019-12-31T23:59:59.999999Z", "2020-02-01T00:00:00Z"]])
    assert db.execute(PLACES).fetchall() == [
        ("check_results_2019_12", 1),
        ("check_results_2020_02", 1),
    ]
    assert call(db, "SELECT drop_old_partitions()") == [
        "check_results_2019_12",
        "check_results_2020_02",
    ]


def test_rows_move_from_the_default_partition(db: Connection) -> None:
    """What a month's partition came too late for is moved into it; other months' rows stay."""
    times = ["2020-04-30T23:59:59.999999Z", "2020-05-01T00:00:00Z", "2020-05-31T23:59:59.999999Z"]
    db.execute(INSERT, [[*times, "2020-06-01T00:00:00Z"]])
    everything = db.execute("SELECT * FROM check_results ORDER BY scheduled_at").fetchall()
    assert call(db, "SELECT create_monthly_partition('2020-05-15')") == ["check_results_2020_05"]
    assert db.execute(PLACES).fetchall() == [
        ("check_results_2020_05", 2),
        ("check_results_default", 2),
    ]
    assert db.execute("SELECT * FROM check_results ORDER BY scheduled_at").fetchall() == everything


def test_partitions_are_like_the_table(db: Connection) -> None:
    """A partition made has the indexes, the checks and the owner of the table."""
    db.execute("SELECT create_monthly_partition('2020-05-15')")
    described = """
        SELECT (SELECT array_agg(conname ORDER BY conname) FROM pg_constraint
                WHERE conrelid = c.oid AND contype = 'c'),
            (SELECT count(*) FROM pg_index WHERE indrelid = c.oid),
            pg_get_userbyid(c.relowner)
        FROM pg_class AS c WHERE c.oid = %s::regclass
    """
    made = db.execute(described, ["check_results_2020_05"]).fetchone()
    assert made == db.execute(described, ["check_results"]).fetchone()
    assert made is not None
    assert made[1] == 3


def test_it_works_without_a_default_partition(db: Connection) -> None:
    """A table whose default partition was taken off gets its months all the same."""
    db.execute("DROP TABLE check_results_default")
    assert call(db, "SELECT create_monthly_partition('2020-05-15')") == ["check_results_2020_05"]


def test_a_month_that_is_covered_is_not_made(db: Connection) -> None:
    """Not the name but the bounds decide: a year's partition holds its months."""
    db.execute(
        "CREATE TABLE year PARTITION OF check_results"
        " FOR VALUES FROM ('2020-01-01Z') TO ('2021-01-01Z')"
    )
    assert call(db, "SELECT create_monthly_partition('2020-12-31')") == []


async def test_many_callers_at_once(postgres_url: str) -> None:
    """All succeed, and each partition was made by one of them."""

    async def create() -> list[tuple[object, ...]]:
        connection = await psycopg.AsyncConnection.connect(postgres_url, autocommit=True)
        async with connection:
            cursor = await connection.execute("SELECT create_monthly_partition('2020-05-15')")
            return await cursor.fetchall()

    made = await asyncio.gather(*(create() for _ in range(6)))
    assert sorted(made) == [*([[]] * 5), [("check_results_2020_05",)]]


def test_whole_months_past_the_limit_are_dropped(db: Connection) -> None:
    """Old months go with their rows, the others stay, and a limit of one's own is followed."""
    for offset in (-1, -2, -5, -6):
        db.execute("SELECT create_monthly_partition(%s::date)", [month(offset)[1]])
    db.execute(INSERT, [[f"{month(offset)[1]}Z" for offset in (0, -1, -5, -6)]])
    assert call(db, "SELECT drop_old_partitions()") == [month(-6)[0], month(-5)[0]]
    assert call(db, "SELECT drop_old_partitions()") == []
    assert db.execute(PLACES).fetchall() == [(month(-1)[0], 1), (month(0)[0], 1)]
    age = datetime.now(UTC) - datetime.fromisoformat(f"{month(-1)[1]}Z")
    limit = f"SELECT drop_old_partitions('{age.days} days')"
    assert call(db, limit) == [month(-2)[0]]
    assert db.execute(PARTITIONS).fetchall()[0] == month(-1)


def test_the_last_partitions_are_never_dropped(db: Connection) -> None:
    """The present month, the newest partition and the default one stay, however old."""
    db.execute(INSERT, [["2001-01-01T00:00:00Z"]])
    call(db, "SELECT drop_old_partitions('1 day')")
    assert db.execute(PARTITIONS).fetchall() == [month(offset) for offset in range(4)]
    for offset in range(4):
        db.execute(f"DROP TABLE {month(offset)[0]}".encode())
    for day in ("2020-05-15", "2020-06-15"):
        db.execute("SELECT create_monthly_partition(%s::date)", [day])
    assert call(db, "SELECT drop_old_partitions()") == ["check_results_2020_05"]
    assert call(db, "SELECT drop_old_partitions()") == []
    assert db.execute(PLACES).fetchall() == [("check_results_default", 1)]


def test_names_decide_nothing(db: Connection) -> None:
    """A partition is old by its bounds; a table that only looks like one is left alone."""
    db.execute("SELECT create_monthly_partition('2020-05-15')")
    db.execute('ALTER TABLE check_results_2020_05 RENAME TO "Check results, 2999"')
    db.execute("CREATE TABLE check_results_2020_04 ()")
    db.execute(f"ALTER TABLE {month(0)[0]} RENAME TO check_results_2020_03".encode())
    assert call(db, "SELECT drop_old_partitions()") == ['"Check results, 2999"']
    assert call(db, "SELECT 'check_results_2020_04'::regclass::text") == ["check_results_2020_04"]
    assert len(db.execute(PARTITIONS).fetchall()) == 4


@pytest.mark.parametrize("keep", ["NULL", "'0 days'", "'-90 days'", "'23 hours'"])
def test_a_limit_that_is_no_limit_is_refused(db: Connection, keep: str) -> None:
    """Nothing is dropped for a limit below a day."""
    db.execute("SELECT create_monthly_partition('2020-05-15')")
    with pytest.raises(errors.InvalidParameterValue, match="keep must be at least 1 day"):
        db.execute(f"SELECT drop_old_partitions({keep})".encode())
    assert len(db.execute(PARTITIONS).fetchall()) == 5


def test_a_clock_that_leaps_does_not_empty_the_table(db: Connection) -> None:
    """After a leap nothing is dropped for a week, and nothing is lost when the clock comes back."""
    db.execute("SELECT create_monthly_partition('2020-05-15')")
    notices: list[str | None] = []
    db.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    db.execute("UPDATE partition_clock SET seen_at = seen_at - interval '5 years'")
    for _ in range(2):
        assert call(db, "SELECT drop_old_partitions()") == []
    assert [str(notice)[:30] for notice in notices] == ["no partition is dropped before"] * 2
    # The clock is set right: to it the last look was years ahead.
    db.execute("UPDATE partition_clock SET seen_at = seen_at + interval '5 years'")
    assert call(db, "SELECT drop_old_partitions()") == ["check_results_2020_05"]


def test_a_clock_that_stays_is_believed(db: Connection) -> None:
    """A week after a pause of upkeep, or after a leap, months are dropped again."""
    db.execute("SELECT create_monthly_partition('2020-05-15')")
    db.execute("UPDATE partition_clock SET seen_at = seen_at - interval '41 days'")
    assert call(db, "SELECT drop_old_partitions()") == []
    db.execute(
        "UPDATE partition_clock SET seen_at = seen_at - interval '1 day',"
        " trusted_from = trusted_from - interval '8 days'"
    )
    assert call(db, "SELECT drop_old_partitions()") == ["check_results_2020_05"]


@pytest.mark.parametrize(
    "function", ["create_monthly_partition('2020-06-15')", "drop_old_partitions()"]
)
def test_a_busy_table_is_no_success(db: Connection, postgres_url: str, function: str) -> None:
    """While others hold a lock the call fails, has changed nothing, and lets them all work."""
    db.execute("SELECT create_monthly_partition('2020-05-15')")
    before = db.execute(PARTITIONS).fetchall()
    with psycopg.connect(postgres_url) as reader:
        reader.execute("SELECT count(*) FROM check_results")
        with pytest.raises(errors.LockNotAvailable, match="stayed locked"):
            db.execute(f"SELECT {function}".encode())
        assert db.execute(PARTITIONS).fetchall() == before
    assert len(call(db, f"SELECT {function}")) == 1


async def test_writers_hardly_wait(postgres_url: str) -> None:
    """While upkeep waits for a long read, a write waits for it 50 ms and not seconds."""
    connect = psycopg.AsyncConnection.connect
    async with (
        await connect(postgres_url) as reader,
        await connect(postgres_url, autocommit=True) as upkeep,
        await connect(postgres_url, autocommit=True) as writer,
    ):
        await upkeep.execute("SELECT create_monthly_partition('2020-05-15')")
        await reader.execute("SELECT count(*) FROM check_results")
        dropping = asyncio.create_task(upkeep.execute("SELECT drop_old_partitions()"))
        await writer.execute("SET statement_timeout = '1s'")
        written = 0
        while not dropping.done():
            await writer.execute(INSERT, [[datetime.now(UTC)]])
            written += 1
        with pytest.raises(errors.LockNotAvailable):
            await dropping
    assert written > 20
