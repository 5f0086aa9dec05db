"""Every contract suite is run over the fake and over every real adapter, without a skip."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "src" / "urlmon" / "testing" / "contracts"
SUITES = sorted(
    match[1]
    for path in CONTRACTS.glob("[a-z]*.py")
    for match in re.finditer(r"^class (\w+Contract)\b", path.read_text(), re.MULTILINE)
)
# By the port's kind: which technologies have to pass its suite.
REAL = {
    "CheckResultStoreContract": {"Postgres", "Influx"},
    "CheckStatisticsContract": {"Postgres", "Influx"},
    "HealthCheckContract": {"Postgres", "Influx", "Redis", "Spool"},
    "AlertStateCacheContract": {"Redis"},
    "TransitionOutboxContract": {"Redis"},
    "LocksContract": {"Redis"},
    "CacheContract": {"Redis"},
    "ScheduleContract": {"Redis"},
    "DenyListContract": {"Redis"},
    "FailureCountersContract": {"Redis"},
    "SessionStoreContract": {"Redis"},
    "WorkingStateContract": {"Redis"},
    "ClockContract": {"System"},
    "SpoolContract": {"File"},
}


def subclasses(suite: str) -> set[str]:
    """Return the names of the test classes that subclass a suite."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and suite in map(ast.unparse, node.bases):
                found.add(node.name)
    return found


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_runs_over_the_fake_and_the_real_stores(suite: str) -> None:
    """A test class is there for the fake, and one for each technology."""
    names = subclasses(suite)
    assert any(re.search("InMemory|Memory|Fake", name) for name in names), names
    for technology in REAL.get(suite, {"Postgres"}):
        assert any(technology in name for name in names), f"{technology} among {names}"


@pytest.mark.parametrize("path", sorted(CONTRACTS.glob("*.py")), ids=lambda path: path.stem)
def test_a_suite_skips_nothing(path: Path) -> None:
    """A suite neither skips nor asks which store it runs over."""
    assert not re.search(
        r"\bskip|xfail|isinstance\(.*(Postgres|Influx|Redis|InMemory)", path.read_text()
    )
