"""Rules on the code as a whole: sizes, public names, what an import brings along."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import urlmon

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "src").rglob("*.py"))
DRIVERS = {
    "psycopg",
    "redis",
    "influxdb_client",
    "aiohttp",
    "dependency_injector",
    "pydantic",
    "typer",
}
LONGEST_MODULE, LONGEST_FUNCTION = 300, 50


def lines(node: ast.AST, body: list[ast.stmt]) -> int:
    """Count the lines of a function without its docstring."""
    first = body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (getattr(node, "end_lineno", 0) or 0) - getattr(node, "lineno", 0) + 1 - docstring


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_modules_and_functions_stay_small(path: Path) -> None:
    """A module has at most 300 lines, a function at most 50 without its docstring."""
    source = path.read_text()
    assert source.count("\n") <= LONGEST_MODULE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert lines(node, node.body) <= LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("name", urlmon.__all__)
def test_a_public_name_is_what_it_says(name: str) -> None:
    """Each name that `urlmon` offers can be had, and is the class of that name."""
    assert getattr(urlmon, name).__name__ == name


def test_type_checkers_see_the_same_names() -> None:
    """The names imported for type checkers are those that exist when the program runs."""
    tree = ast.parse(Path(urlmon.__file__).read_text())
    seen = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("urlmon.")
        for alias in node.names
    }
    assert seen == set(urlmon.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as it does in any module."""
    with pytest.raises(AttributeError, match="Tenat"):
        urlmon.Tenat  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("module", ["urlmon", "urlmon.ports", "urlmon.testing.monitors"])
def test_the_core_loads_no_driver(module: str) -> None:
    """Importing the core, its ports and its fakes brings no third-party package but attrs."""
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not DRIVERS & set(done.stdout.split())
