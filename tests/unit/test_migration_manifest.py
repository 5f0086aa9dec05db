from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.fixtures.migration_files import write

from urlmon.errors import MigrationError
from urlmon_adapters.postgres import migrations
from urlmon_adapters.postgres._migration_files import read_texts
from urlmon_adapters.postgres._migration_manifest import check_manifest
from urlmon_adapters.postgres.migrations import Migrations, new_manifest

OURS = Path(__file__).parents[2] / "migrations"
NOWHERE = "postgresql://127.0.0.1:1/x"


def check(folder: Path, *, required: bool = True) -> None:
    check_manifest(folder, read_texts(folder), required=required)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder with two migrations and their manifest."""
    write(tmp_path, "20250101_a", "SELECT 1;\n")
    write(tmp_path, "20250102_b", "SELECT 2;\n")
    assert new_manifest(tmp_path) == tmp_path / "manifest.txt"
    return tmp_path


def test_our_own_manifest_is_in_step() -> None:
    """Whoever adds or changes a migration of urlmon runs `urlmon migrate manifest` afterwards."""
    assert (OURS / "manifest.txt").is_file()
    check(OURS, required=False)


def test_a_manifest_is_a_list_of_sha256sum(folder: Path) -> None:
    """The usual program can check it."""
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("there is no sha256sum on this system")
    subprocess.run([program, "--check", "--strict", "manifest.txt"], cwd=folder, check=True)


def test_line_ends_do_not_matter(folder: Path) -> None:
    """A checkout with CRLF has the same manifest."""
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    check(folder)


@pytest.mark.parametrize("required", [True, False])
def test_every_difference_is_named(folder: Path, *, required: bool) -> None:
    """A file that is missing, added or changed is told, and what to do."""
    (folder / "20250101_a.sql").unlink()
    write(folder, "20250102_b", "SELECT 3;\n")
    write(folder, "20250103_c", "SELECT 1;\n")
    with pytest.raises(MigrationError) as caught:
        check(folder, required=required)
    assert (
        "(missing: 20250101_a.sql; not listed: 20250103_c.sql; changed: 20250102_b.sql)"
    ) in str(caught.value)
    assert ("install it again" in str(caught.value)) is required
    assert ("`urlmon migrate manifest`" in str(caught.value)) is not required
    new_manifest(folder)
    check(folder)


def test_a_package_must_have_its_manifest(folder: Path) -> None:
    """Without one nobody could tell that a file is missing; a user's folder may do without."""
    (folder / "manifest.txt").unlink()
    check(folder, required=False)
    with pytest.raises(MigrationError, match=r"manifest\.txt is missing: urlmon was not built"):
        check(folder)


def test_another_text_is_no_manifest(folder: Path) -> None:
    """A line that is none of `sha256sum` is shown."""
    (folder / "manifest.txt").write_text("<<<<<<< HEAD\n")
    with pytest.raises(MigrationError, match="no line of a manifest: '<<<<<<< HEAD'"):
        check(folder)


async def test_the_manifest_is_checked_before_all_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that differs from it, given or packaged, is refused before anything is asked."""
    (folder / "20250102_b.sql").unlink()
    with pytest.raises(MigrationError, match=r"missing: 20250102_b\.sql"):
        await Migrations(NOWHERE, folder).status()
    monkeypatch.setattr(migrations, "_PACKAGED", folder)
    with pytest.raises(MigrationError, match=r"missing: 20250102_b\.sql.*install it again"):
        await Migrations(NOWHERE).apply()
