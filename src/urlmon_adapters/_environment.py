"""The values of settings, gathered from the environment, a `.env` file and secret files.

A name in the environment beats the same name in the `.env` file, also when it is empty there; an
empty value counts as not set.  A secret `NAME` can be given as `NAME_FILE`, the path of a file
that holds it, as Docker and Kubernetes mount secrets.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import field, frozen
from dotenv import dotenv_values

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

FILE_SUFFIX: Final = "_FILE"
_OWN_PREFIX: Final = "URLMON_"
# Names the servers that tests are given; no setting.
_TEST_PREFIX: Final = "URLMON_TEST_"
# INFLUX_URL is as near to INFLUXDB_URL as 0.91; DATABASE_URL to DATABASE_URL_TEST as 0.83.
_NEAR: Final = 0.85


@frozen(kw_only=True)
class Environment:
    """What is set, where it came from, and what is wrong with it.

    Attributes:
        values: By name, the value; holds secrets.
        origins: By name, where the value was found, in words.
        problems: By name, why it cannot be used; never a value.
        hints: One line for each name that looks like a misspelt setting; not wrong, as another
            program may use it.
    """

    values: Mapping[str, str] = field(repr=False)
    origins: Mapping[str, str]
    problems: Mapping[str, str]
    hints: tuple[str, ...] = ()


def read_environment(
    environ: Mapping[str, str],
    *,
    names: Collection[str],
    known: Collection[str],
    secret: Collection[str],
    dotenv: Path | None = None,
) -> Environment:
    """Gather the values of `names`.

    Args:
        environ: The environment of the process.
        names: The settings that are asked for.
        known: Every setting there is.
        secret: Those that may be given by file.
        dotenv: A `.env` file, read if it exists.
    """
    layers = {"the environment": environ}
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    problems: dict[str, str] = {}
    if dotenv is not None and dotenv.is_file():
        try:
            layers[str(dotenv)] = _read_dotenv(dotenv)
        except (OSError, UnicodeDecodeError) as exc:
            problems[str(dotenv)] = f"{dotenv} cannot be read: {_reason(exc)}"
    for name in names:
        try:
            value, origin = _look_up(name, layers, by_file=name in secret)
        except ValueError as exc:
            problems[name] = str(exc)
        else:
            if value:
                values[name], origins[name] = value, origin
    all_names = {*known, *(name + FILE_SUFFIX for name in secret)}
    given = dict.fromkeys(name for layer in layers.values() for name in layer)
    problems |= _unknown(given, all_names)
    unset = [name for name in names if name not in values and name not in problems]
    hints = tuple(_near_misses([name for name in given if name not in all_names], unset))
    return Environment(values=values, origins=origins, problems=problems, hints=hints)


def _read_dotenv(path: Path) -> dict[str, str]:
    return {name: value or "" for name, value in dotenv_values(path, encoding="utf-8").items()}


def _look_up(
    name: str, layers: Mapping[str, Mapping[str, str]], *, by_file: bool
) -> tuple[str, str]:
    """Return a value and where it came from; both empty if no layer names it.

    Raises:
        ValueError: The name is set twice, or its file cannot be read; says so, without a value.
    """
    file_name = name + FILE_SUFFIX
    for origin, layer in layers.items():
        path = layer.get(file_name) if by_file else None
        if path and layer.get(name):
            raise ValueError(f"{name} and {file_name} are both set in {origin}: keep one of them")
        if path:
            return _read_secret(file_name, path), f"the file {path}"
        if name in layer:
            return layer[name], origin
    return "", ""


def _read_secret(file_name: str, path: str) -> str:
    try:
        value = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"{file_name} names {path}, which cannot be read: {_reason(exc)}") from exc
    if not value:
        raise ValueError(f"{file_name} names {path}, which is empty")
    return value


def _reason(exc: OSError | UnicodeDecodeError) -> str:
    return exc.strerror or "unknown error" if isinstance(exc, OSError) else "it is not UTF-8 text"


def _unknown(given: Collection[str], known: Collection[str]) -> dict[str, str]:
    """Name what claims to be a setting of urlmon and is none."""
    unknown: dict[str, str] = {}
    for name in given:
        if not name.startswith(_OWN_PREFIX) or name.startswith(_TEST_PREFIX) or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)
        meant = f": did you mean {near[0]}?" if near else "; `urlmon config` lists them all"
        unknown[name] = f"{name} is not a setting of urlmon{meant}"
    return unknown


def _near_misses(foreign: Collection[str], unset: Collection[str]) -> Iterator[str]:
    """Name what looks like a misspelt setting that is not set."""
    for name in foreign:
        near = difflib.get_close_matches(name, unset, n=1, cutoff=_NEAR)
        if near and not name.startswith(_OWN_PREFIX):
            yield f"{name} is set, {near[0]} is not: did you mean {near[0]}?"
