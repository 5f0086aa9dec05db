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


def test_rows_of_all_months_move_from_the_default_partition(db: Connection) -> None:
    """Without an argument the months of rows in the default partition are made, too."""
    db.execute(INSERT, [["2020-04-30T23:59:59.999999Z", "2020-04-01T00:00:00Z"]])
    db.execute(INSERT, [["2020-06-01T00:00:00Z"]])
    assert call(db, "SELECT create_monthly_partition()") == [
        "check_results_2020_04",
        "check_results_2020_06",
    ]
    assert db.execute(PLACES).fetchall() == [
        ("check_results_2020_04", 2),
        ("check_results_2020_06", 1),
    ]


def test_instants_without_a_month(db: Connection) -> None:
    """What can have no month stays in the default partition, and hinders nothing."""
    strange = ["-infinity", "1950-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "10000-01-01T00:00:00Z"]
    db.execute(INSERT, [[*strange, "20000-01-01T00:00:00Z", "infinity", "1970-01-31T00:00:00Z"]])
    assert call(db, "SELECT create_monthly_partition()") == ["check_results_1970_01"]
    assert call(db, "SELECT months_in_default()::text") == ["-infinity", "10000-01-01"]
    assert call(db, "SELECT create_monthly_partition('2020-05-15')") == ["check_results_2020_05"]
    assert db.execute(PLACES).fetchall() == [
        ("check_results_1970_01", 1),
        ("check_results_default", 6),
    ]


@pytest.mark.parametrize("day", ["infinity", "-infinity", "1969-12-31", "9999-01-01"])
def test_a_day_without_a_month_is_refused(db: Connection, day: str) -> None:
    """Only months of 1970 to 9998 can be made."""
    with pytest.raises(errors.InvalidParameterValue, match="1970 to 9998"):
        db.execute("SELECT create_monthly_partition(%s::date)", [day])


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


def test_partitions_are_protected(db: Connection) -> None:
    """A partition made has the row security of the table, and nobody but the owner may touch it."""
    db.execute("SELECT create_monthly_partition('2020-05-15')")
    described = """
        SELECT c.relrowsecurity, c.relacl::text, (
            SELECT array_agg((polname, polcmd, polroles, pg_get_expr(polqual, polrelid),
                pg_get_expr(polwithcheck, polrelid))::text ORDER BY polname)
            FROM pg_policy WHERE polrelid = c.oid
        ) FROM pg_class AS c WHERE c.oid = %s::regclass
    """
    made = db.execute(described, ["check_results_2020_05"]).fetchone()
    parent = db.execute(described, ["check_results"]).fetchone()
    assert made is not None
    assert parent is not None
    assert made == (True, None, parent[2])
    assert len(parent[2]) == 2  # type: ignore[arg-type]


def test_a_name_that_is_taken(db: Connection) -> None:
    """A month that was detached keeps its name and rows; the one made anew gets another name."""
    db.execute("SELECT create_monthly_partition('2020-05-15')")
    db.execute(INSERT, [["2020-05-02T00:00:00Z"]])
    db.execute("ALTER TABLE check_results DETACH PARTITION check_results_2020_05")
    assert call(db, "SELECT create_monthly_partition('2020-05-15')") == ["check_results_2020_05_"]
    assert call(db, "SELECT count(*) FROM check_results_2020_05") == [1]


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


@pytest.mark.parametrize(
    "keep", ["NULL", "'0 days'", "'-90 days'", "'23 hours'", "'-12 months 362 days'"]
)
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


def test_a_clock_that_was_forgotten_is_not_believed(db: Connection) -> None:
    """Where nothing is known of the clock, as after a partial restore, nothing is dropped."""
    db.execute("SELECT create_monthly_partition('2020-05-15')")
    db.execute("DELETE FROM partition_clock")
    assert call(db, "SELECT drop_old_partitions()") == []
    assert call(db, "SELECT count(*) FROM partition_clock") == [1]
    assert call(db, "SELECT drop_old_partitions()") == []


def test_a_year_at_most_is_dropped_at_once(db: Connection) -> None:
    """However many months are old, a call that makes all others wait is short."""
    for number in range(14):
        db.execute("SELECT create_monthly_partition(%s::date)", [f"20{10 + number}-01-01"])
    assert len(call(db, "SELECT drop_old_partitions()")) == 12
    assert call(db, "SELECT drop_old_partitions()") == [
        "check_results_2022_01",
        "check_results_2023_01",
    ]


CREATE = "SELECT create_monthly_partition('2020-06-15')"
DROP = "SELECT drop_old_partitions()"
READ = "SELECT count(*) FROM check_results"
LOCK = "LOCK TABLE ONLY check_results_2020_05 IN ACCESS SHARE MODE"


@pytest.mark.parametrize(("function", "hold"), [(CREATE, READ), (DROP, READ), (DROP, LOCK)])
async def test_a_busy_table_is_no_success(postgres_url: str, function: str, hold: str) -> None:
    """While others hold a lock the call fails and has changed nothing; nobody waits behind it."""
    connect = psycopg.AsyncConnection.connect
    async with (
        await connect(postgres_url) as holder,
        await connect(postgres_url, autocommit=True) as upkeep,
        await connect(postgres_url, autocommit=True) as other,
    ):
        await upkeep.execute("SELECT create_monthly_partition('2020-05-15')")
        before = await (await other.execute(PARTITIONS)).fetchall()
        await holder.execute(hold.encode())
        # Whoever waited longer would fail: the calls below wait for 50 ms, and again and again.
        await other.execute("SET lock_timeout = '200ms'")
        failing = asyncio.create_task(upkeep.execute(function.encode()))
        turns = 0
        while not failing.done():
            await other.execute(INSERT, [[str(datetime.now(UTC)), "2020-05-05Z", "2020-07-07Z"]])
            await other.execute(READ.encode())
            turns += 1
        with pytest.raises(errors.LockNotAvailable, match="stayed locked"):
            await failing
        assert turns > 5
        assert await (await other.execute(PARTITIONS)).fetchall() == before
        await holder.rollback()
        done = await upkeep.execute(function.encode())
        assert len(await done.fetchall()) == 1


def test_readers_go_on_while_rows_are_moved(db: Connection, postgres_url: str) -> None:
    """However long it takes to fill a new partition, all rows can be read where they were."""
    db.execute(INSERT, [["2020-05-05Z"]])
    with psycopg.connect(postgres_url) as upkeep:
        moving = upkeep.execute("SELECT prepare_partition('2020-05-01')")
        assert moving.fetchall() == [("check_results_2020_05",)]
        db.execute("SET lock_timeout = '200ms'")
        assert db.execute(PLACES).fetchall() == [("check_results_default", 1)]
        db.execute(INSERT, [[str(datetime.now(UTC))]])
        with pytest.raises(errors.LockNotAvailable):
            db.execute(INSERT, [["2020-05-06Z"]])


AS_SERVICE = "SET LOCAL ROLE urlmon_service"


def test_a_login_without_rights_of_its_own(postgres_service_url: str) -> None:
    """In the role of the services the functions can be called, and only in it."""
    with psycopg.connect(postgres_service_url) as db:
        db.execute(AS_SERVICE)
        db.execute(INSERT, [["2020-05-15T00:00:00Z"]])
        assert call(db, "SELECT create_monthly_partition()") == ["check_results_2020_05"]
        assert call(db, "SELECT drop_old_partitions()") == ["check_results_2020_05"]
        db.commit()
        for function in ("create_monthly_partition", "drop_old_partitions", "months_in_default"):
            with pytest.raises(errors.InsufficientPrivilege):
                db.execute(f"SELECT {function}()".encode())
            db.rollback()


@pytest.mark.parametrize("statement", ["DROP TABLE {}", "SELECT * FROM {}", "DELETE FROM {}"])
def test_the_role_has_the_functions_only(
    db: Connection, postgres_service_url: str, statement: str
) -> None:
    """The role that may call them can do nothing else to a partition."""
    db.execute("SELECT create_monthly_partition('2020-05-15')")
    with psycopg.connect(postgres_service_url) as service:
        service.execute(AS_SERVICE)
        with pytest.raises(errors.InsufficientPrivilege):
            service.execute(statement.format("check_results_2020_05").encode())


def test_a_caller_cannot_slip_in_tables(postgres_service_url: str) -> None:
    """Temporary tables with the names of ours are not taken for them."""
    with psycopg.connect(postgres_service_url) as db:
        db.execute("CREATE TEMPORARY TABLE check_results (scheduled_at timestamptz)")
        db.execute("CREATE TEMPORARY TABLE partition_clock (only_row boolean)")
        db.execute(AS_SERVICE)
        assert call(db, "SELECT create_monthly_partition('2020-05-15')") == [
            "check_results_2020_05"
        ]
        assert call(db, "SELECT drop_old_partitions()") == ["check_results_2020_05"]
