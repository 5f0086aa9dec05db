"""The encoder against an independent reader of the line protocol."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from tests import line_protocol
from tests.result_strategies import results, supported

from urlmon.domain.check_results import LONGEST_MESSAGE, CheckError, CheckResult, ErrorKind
from urlmon.domain.ids import MonitorId, TenantId
from urlmon.errors import InvalidValueError
from urlmon.testing.builders import a_result
from urlmon.testing.contracts.texts import HOSTILE_TEXTS
from urlmon_adapters.influx import _lines

TENANTS, MONITORS = [TenantId.new() for _ in range(2)], [MonitorId.new() for _ in range(3)]
BATCHES = st.lists(results(TENANTS, MONITORS, supported), max_size=40)


def written(batch: list[CheckResult]) -> list[line_protocol.Point]:
    """Return what a server reads out of the lines of some results."""
    return line_protocol.read(b"".join(_lines.encode(batch)).decode())


def since_1970(at: datetime) -> int:
    """Return whole microseconds, in another way than the encoder does."""
    passed = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (passed.days * 86_400 + passed.seconds) * 10**6 + passed.microseconds


def number(value: int | None) -> int:
    """Return what stands for a number."""
    return -1 if value is None else value


def expected(result: CheckResult) -> line_protocol.Point:
    """Return the point of a result, as the reference describes it."""
    expires = result.tls_expires_at
    return line_protocol.Point(
        "check_results",
        {
            "location": result.location,
            "monitor_id": str(result.monitor_id),
            "success": str(result.success).lower(),
            "tenant_id": str(result.tenant_id),
        },
        {
            "checked_at_us": since_1970(result.checked_at),
            "status_code": number(result.status_code),
            "response_time_us": number(result.response_time_us),
            "dns_us": number(result.phases.dns_us),
            "connect_us": number(result.phases.connect_us),
            "tls_us": number(result.phases.tls_us),
            "ttfb_us": number(result.phases.ttfb_us),
            "transfer_us": number(result.phases.transfer_us),
            "tls_expires_at_us": -(2**63) if expires is None else since_1970(expires),
            "size_bytes": number(result.size_bytes),
            "error_kind": result.error.kind.value if result.error else "",
            "error_message": result.error.message if result.error else "",
        },
        since_1970(result.scheduled_at),
    )


@given(batch=BATCHES)
def test_every_line_is_read_as_its_result(batch: list[CheckResult]) -> None:
    """As many points as results, in their order, and each holds exactly its result."""
    assert written(batch) == list(map(expected, batch))


@pytest.mark.parametrize(
    "message",
    [
        *HOSTILE_TEXTS,
        "",
        "#",
        "\n# a comment\nx y=1i 1",
        '"',
        '\\"',
        "\\",
        "\\\\",
        'a" 1\ncheck_results x=1i 2',
        "\r\n\t",
        "\\" * LONGEST_MESSAGE,
    ],
)
def test_a_text_ends_where_it_ends(message: str) -> None:
    """Whatever a message holds, nothing of it becomes a tag, a field or a line of its own."""
    error = CheckError(kind=ErrorKind.OTHER, message=message)
    batch = [a_result(TENANTS[0], each, error=error) for each in MONITORS]
    assert written(batch) == list(map(expected, batch))


TAG_BREAKERS = ("", "a b", "a,b", "a=b", "a\\", "a\n", "#a", '"', "\x00", "\ud800", "K\u00f6ln")


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("location", [*TAG_BREAKERS, None, 1]),
        ("monitor_id", ["m,tenant_id=x", b"", None]),
        ("tenant_id", ["t", None, 0]),
        ("status_code", [float("nan"), float("inf"), 2**63, -(2**63) - 1, True, "200i", 200.0]),
        ("response_time_us", [float("nan"), -1, 2**64, 10**40, True, "1i,x=1"]),
        ("size_bytes", [float("-inf"), 2**63, -1, False]),
        ("scheduled_at", [datetime(2026, 1, 1), datetime.max, datetime(1999, 1, 1, tzinfo=UTC)]),  # noqa: DTZ001, DTZ901
        ("checked_at", [datetime(2026, 1, 1), datetime(2300, 1, 1, tzinfo=UTC), 0, None]),  # noqa: DTZ001
        ("tls_expires_at", [datetime(2026, 1, 1), datetime(1949, 1, 1, tzinfo=UTC), "x"]),  # noqa: DTZ001
        ("error", ["text", CheckError]),
    ],
)
def test_what_cannot_be_written_is_no_result(field: str, values: list[Any]) -> None:
    """The encoder does not look: what a line cannot hold never becomes a result at all."""
    good = a_result(TENANTS[0], MONITORS[0])
    for value in values:
        with pytest.raises(InvalidValueError):
            evolve(good, **{field: value})


@pytest.mark.parametrize("message", ["\x00", "a\x00b", "\ud800", "x" * (LONGEST_MESSAGE + 1), b"x"])
def test_a_text_that_cannot_be_written_is_no_message(message: Any) -> None:
    """NUL, half a character and too long ones are refused by the domain."""
    with pytest.raises(InvalidValueError):
        CheckError(kind=ErrorKind.OTHER, message=message)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Series come and go without end: the memory of them stays small, and lines stay right."""
    monkeypatch.setattr(_lines, "_MOST_SERIES", 10)
    batch = [a_result(TENANTS[0], MonitorId.new(), location=f"l{n % 3}") for n in range(100)]
    assert written(batch * 2) == list(map(expected, batch * 2))
    assert len(_lines._series) <= 10


def test_lines_come_in_small_parts() -> None:
    """A batch is cut, so that no part keeps others waiting."""
    at = a_result(TENANTS[0], MONITORS[0]).scheduled_at
    batch = [
        a_result(TENANTS[0], MONITORS[0], scheduled_at=at + timedelta(seconds=each))
        for each in range(1_001)
    ]
    assert [part.count(b"\n") for part in _lines.encode(batch)] == [500, 500, 1]
