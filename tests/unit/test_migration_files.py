from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.migration_files import write

from urlmon.errors import MigrationError
from urlmon_adapters.postgres import _migration_names
from urlmon_adapters.postgres._migration_files import MigrationFile, read_migrations, read_texts
from urlmon_adapters.postgres._migration_names import new_migration, next_name
from urlmon_adapters.postgres._migration_repair import index_built
from urlmon_adapters.postgres._sql_scanner import ScanError, split
from urlmon_adapters.postgres.migrations import packaged_migrations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable
    from pathlib import Path


SQL_BODY = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END"


def read(folder: Traversable) -> tuple[MigrationFile, ...]:
    files = read_migrations(read_texts(folder))
    for file in files:
        file.require_valid()
    return files


def statements(text: str) -> list[str]:
    return [text[each.start : each.end] for each in split(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ;; -- nothing\n; /* at all */", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1 /* a */ ;\n-- b;\nSELECT 2;\n", ["SELECT 1", "SELECT 2"]),
        ("SELECT 'it''s; here';SELECT 2", ["SELECT 'it''s; here'", "SELECT 2"]),
        (r"SELECT E'\'; '; SELECT '\'; COMMIT", [r"SELECT E'\'; '", r"SELECT '\'", "COMMIT"]),
        ('SELECT ";" AS "a""b;"; SELECT U&";"', ['SELECT ";" AS "a""b;"', 'SELECT U&";"']),
        ("/* a /* b; */ ; */ SELECT 1", ["SELECT 1"]),
        ("SELECT $$;$$; SELECT $a$ ; $$ ; $a$", ["SELECT $$;$$", "SELECT $a$ ; $$ ; $a$"]),
        ("SELECT a$b$c; SELECT $1", ["SELECT a$b$c", "SELECT $1"]),
        (
            "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2); SELECT 3",
            ["CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)", "SELECT 3"],
        ),
        (
            f"{SQL_BODY}; COMMIT",
            [SQL_BODY, "COMMIT"],
        ),
    ],
)
def test_a_text_is_split_where_statements_end(text: str, expected: list[str]) -> None:
    """Semicolons in quotes, comments, parentheses and SQL bodies end no statement."""
    assert statements(text) == expected


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("SELECT 'a;", 7),
        ('SELECT "a;', 7),
        ("SELECT 'it''s", 7),
        ("SELECT $a$ b $$", 7),
        ("SELECT 1; /* a /* b */", 10),
        ("\\connect other", 0),
    ],
)
def test_a_text_that_does_not_close_is_refused(text: str, offset: int) -> None:
    """An open quote or comment, or a command of psql, is named where it begins."""
    with pytest.raises(ScanError) as caught:
        statements(text)
    assert caught.value.offset == offset


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    """Date first, then name; the version is what the header says; other files are none of ours."""
    write(tmp_path, "20250201_a", "SELECT 1", version="001_initial_schema")
    write(tmp_path, "20250103_b", "SELECT 1")
    write(
        tmp_path,
        "20250103_a_2",
        "CREATE INDEX CONCURRENTLY i ON t (c)",
        header="-- Transaction: none\n",
    )
    (tmp_path / "README.md").write_text("not SQL")
    files = read(tmp_path)
    assert [(file.name, file.version, file.in_transaction) for file in files] == [
        ("20250103_a_2.sql", "a_2", False),
        ("20250103_b.sql", "b", True),
        ("20250201_a.sql", "001_initial_schema", True),
    ]
    assert files[2].description == "about 001_initial_schema"


@pytest.mark.parametrize(
    "name",
    [
        "x.sql",
        "20250230_a.sql",
        "2025-01-01_a.sql",
        "20250101_A.sql",
        "20250101_a.SQL",
        "20250101.sql",
    ],
)
def test_anything_else_that_ends_in_sql_is_refused(tmp_path: Path, name: str) -> None:
    """A file that would be passed over in silence is an error that says how to name it."""
    (tmp_path / name).write_text("-- Migration: a\n-- Description: b\nSELECT 1")
    with pytest.raises(MigrationError, match=rf"^{name}: migrations are named YYYYMMDD_name\.sql"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SELECT 1", "must open with the header line -- Migration: ..."),
        ("-- Migration: a\nSELECT 1", "must open with the header line -- Description: ..."),
        ("-- Migration: a\n-- Description:\nSELECT 1", "the header line -- Description: ..."),
        ("-- Migration: a\n\n-- Description: b\nSELECT 1", "the header line -- Description: ..."),
        ("-- Migration: a b\n-- Description: b\nSELECT 1", "the version in -- Migration: may have"),
        (
            "-- Migration: a\n-- Description: b\n-- Transactoin: none\nSELECT 1",
            "header line 3 has the unknown key Transactoin; known are Migration, Description,",
        ),
        ("-- Migration: a\n-- Migration: a\n-- Description: b", "the header says Migration twice"),
        ("-- Migration: a\n-- Description: b\n-- Transaction: off\nSELECT 1", "can only be none"),
        ("-- Migration: a\n-- Description: b\n-- SELECT 1", "there is no statement in it"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """What a header lacks, repeats or misspells is said."""
    (tmp_path / "20250101_a.sql").write_text(text)
    with pytest.raises(MigrationError, match=r"^20250101_a\.sql: ") as caught:
        read(tmp_path)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "COMMIT",
        "begin",
        "END",
        "ROLLBACK TO a",
        "Abort",
        "START TRANSACTION",
        "PREPARE TRANSACTION 'a'",
    ],
)
def test_a_file_cannot_end_its_transaction(tmp_path: Path, statement: str) -> None:
    """A statement that would is refused with its place, before anything is run."""
    write(tmp_path, "20250101_a", f"SELECT 'COMMIT';\n  {statement} ;\nSELECT 1;\n")
    with pytest.raises(MigrationError) as caught:
        read(tmp_path)
    assert str(caught.value).startswith("20250101_a.sql:5:3: ")
    assert str(caught.value).endswith(f"\n  5 |   {statement} ;\n    |   ^")


def test_what_looks_like_the_end_of_a_transaction_is_allowed(tmp_path: Path) -> None:
    """The words of PL/pgSQL and of SQL bodies end no transaction."""
    write(
        tmp_path,
        "20250101_a",
        "DO $$ BEGIN PERFORM 1; END $$; SELECT CASE 1 WHEN 1 THEN 2 END;"
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SAVEPOINT a;",
    )
    assert len(read(tmp_path)[0].statements) == 4


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY i ON t (a)",
        "create unique index concurrently i ON t (a)",
        "DROP INDEX CONCURRENTLY i",
        "VACUUM t",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "CREATE DATABASE other",
    ],
)
def test_what_no_transaction_can_have_is_refused(tmp_path: Path, statement: str) -> None:
    """It is told before anything runs; in a file of its own without a transaction it is fine."""
    write(tmp_path, "20250101_a", f"SELECT 1;\n{statement};")
    with pytest.raises(MigrationError, match=r"^20250101_a\.sql:5:1: this cannot run in a trans"):
        read(tmp_path)
    write(tmp_path, "20250101_a", statement, header="-- Transaction: none\n")
    assert len(read(tmp_path)) == 1


def test_copy_from_the_client_is_refused(tmp_path: Path) -> None:
    """There is no client to copy from."""
    write(tmp_path, "20250101_a", "COPY t (a) FROM STDIN;")
    with pytest.raises(MigrationError, match="use INSERT"):
        read(tmp_path)


def test_without_a_transaction_there_is_one_statement(tmp_path: Path) -> None:
    """A second statement is refused, as the first would stay when it fails."""
    write(tmp_path, "20250101_a", "VACUUM a;\nVACUUM b;", header="-- Transaction: none\n")
    with pytest.raises(MigrationError, match=r"^20250101_a\.sql:6:1: .* exactly one statement"):
        read(tmp_path)


def test_two_files_with_one_version_are_refused(tmp_path: Path) -> None:
    """Both are named."""
    write(tmp_path, "20250101_a", "SELECT 1", version="001")
    write(tmp_path, "20250102_b", "SELECT 2", version="001")
    with pytest.raises(
        MigrationError, match=r"20250101_a\.sql and 20250102_b\.sql both have the version 001"
    ):
        read(tmp_path)


def test_other_than_text_is_refused(tmp_path: Path) -> None:
    """A file that is not UTF-8 is named, with where."""
    (tmp_path / "20250101_a.sql").write_bytes(b"-- Migration: a\xff")
    with pytest.raises(MigrationError, match=r"^20250101_a\.sql: byte 15 is not UTF-8"):
        read(tmp_path)


def hashes(folder: Path, content: bytes) -> tuple[str, str]:
    (folder / "20250101_a.sql").write_bytes(content)
    (file,) = read(folder)
    return file.text_hash, file.token_hash


def test_hashes_tell_changes_apart(tmp_path: Path) -> None:
    """Line ends and a byte order mark change no hash, comments and space one, statements both."""
    text = b"-- Migration: a\n-- Description: b\nSELECT 'x';\nSELECT 2;\n"
    text_hash, token_hash = hashes(tmp_path, text)
    assert text_hash.startswith("sha256-text-1:")
    assert token_hash.startswith("sha256-tokens-1:")
    assert hashes(tmp_path, b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n")) == (
        text_hash,
        token_hash,
    )
    edited = hashes(tmp_path, text.replace(b"SELECT 2", b"/* why */ select\n 2"))
    assert edited[0] != text_hash
    assert edited[1] == token_hash
    for other in (b"SELECT 3", b"SELECT; 2", b'SELECT "2"', b"SELECT 22"):
        assert hashes(tmp_path, text.replace(b"SELECT 2", other))[1] != token_hash
    assert hashes(tmp_path, text.replace(b"'x'", b"'X'"))[1] != token_hash


def test_a_new_migration_comes_last(tmp_path: Path) -> None:
    """Its name follows all names, whatever date those have, and its version is its name."""
    first = new_migration(tmp_path, "Alert notes!", " free text on alerts ")
    assert first.name == f"{datetime.now(UTC):%Y%m%d}_alert_notes.sql"
    assert first.read_bytes() == (
        f"-- Migration: {first.stem}\n-- Description: free text on alerts\n\n".encode()
    )
    second = new_migration(tmp_path, "About alerts", "more")
    assert second.name == f"{datetime.now(UTC) + timedelta(days=1):%Y%m%d}_about_alerts.sql"
    assert second.read_text().startswith(f"-- Migration: {second.stem}\n")


def test_new_migrations_made_at_once(tmp_path: Path) -> None:
    """Each gets a file of its own, also of the same name, and comes after those before it."""
    (tmp_path / f"{datetime.now(UTC):%Y%m%d}_m.sql").touch()
    titles = ["z", "a", "m", "a", "z", "m"] * 4
    with ThreadPoolExecutor(len(titles)) as threads:
        paths = list(threads.map(lambda title: new_migration(tmp_path, title, "more"), titles))
    assert len({path.name for path in paths}) == len(titles)
    assert len({path.read_text().splitlines()[0] for path in paths}) == len(titles)
    assert sorted(path.name[9:-4] for path in paths) == sorted(titles)
    assert len(list(tmp_path.iterdir())) == len(titles) + 1


@pytest.mark.parametrize("title", ["a", "x"])
def test_a_new_migration_that_others_overtake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str
) -> None:
    """One that comes before what others wrote meanwhile, or has its name, is named again."""
    today = datetime.now(UTC).date()
    # At first it looks too early to see the other.
    early: Iterator[list[str]] = iter([[]])
    listed = _migration_names._names

    def names(folder: Path) -> list[str]:
        for seen in early:
            return seen
        return listed(folder)

    monkeypatch.setattr(_migration_names, "_names", names)
    (tmp_path / f"{today:%Y%m%d}_x.sql").touch()
    path = new_migration(tmp_path, title, "more")
    assert path.name == f"{today + timedelta(days=1):%Y%m%d}_{title}.sql"
    assert sorted(tmp_path.iterdir()) == [tmp_path / f"{today:%Y%m%d}_x.sql", path]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (a)", ("t", "i")),
        (
            "create unique index concurrently if not exists i on only s.t using gin (a)",
            ("s.t", "i"),
        ),
        ('CREATE INDEX CONCURRENTLY "I ""i" ON "S" . "T"(a)', ('"S"."T"', 'I "i')),
        ("CREATE INDEX CONCURRENTLY ON t (a)", ("t", "")),
        ("CREATE INDEX i ON t (a)", None),
        ("DROP INDEX CONCURRENTLY i", None),
        ("CREATE INDEX CONCURRENTLY i", None),
    ],
)
def test_the_index_that_a_statement_builds(
    statement: str, expected: tuple[str, str] | None
) -> None:
    """Its table and its name are read from the statement, as the server would find them."""
    (each,) = split(statement)
    assert index_built(each.tokens) == expected


def test_an_index_built_concurrently_needs_a_name(tmp_path: Path) -> None:
    """Without one, what an interrupted run leaves could not be told from other indexes."""
    header = "-- Transaction: none\n"
    write(tmp_path, "20250101_a", "CREATE INDEX CONCURRENTLY ON t (a)", header=header)
    with pytest.raises(MigrationError, match="give the index a name"):
        read(tmp_path)


@pytest.mark.parametrize(("title", "about"), [("!", "b"), ("a", " "), ("a", "b\nc")])
def test_a_new_migration_needs_a_name_and_a_line(tmp_path: Path, title: str, about: str) -> None:
    """Without them nothing is written."""
    with pytest.raises(MigrationError, match="needs a name"):
        new_migration(tmp_path, title, about)
    assert list(tmp_path.iterdir()) == []


def test_the_next_name_follows_a_date_to_come() -> None:
    """A file dated in the future is followed as well."""
    assert next_name("b.sql", ["29990101_a.sql"]) == "29990101_b.sql"
    assert next_name("a.sql", ["29990101_b.sql"]) == "29990102_a.sql"


def test_our_own_migrations_are_found_and_well_formed() -> None:
    """The package finds its migrations, and they begin with the schema."""
    files = read(packaged_migrations())
    assert files[0].version == "001_initial_schema"
    assert files[0].name == "20250101_initial_schema.sql"
