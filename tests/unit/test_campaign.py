"""The size of long runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fixtures import campaign
from tests.fixtures.campaign import Progress

if TYPE_CHECKING:
    from tests.fixtures.campaign import CampaignSize


@pytest.mark.parametrize(
    ("value", "sizes"), [("", (1, 1, 1_000)), ("0", (1, 1, 1_000)), ("1", (1, 19, 10_000))]
)
def test_size(
    monkeypatch: pytest.MonkeyPatch,
    campaign_size: CampaignSize,
    value: str,
    sizes: tuple[int, ...],
) -> None:
    """A tenth by default and all of it in a campaign, but never nothing."""
    monkeypatch.setenv(campaign.VARIABLE, value)
    assert tuple(map(campaign_size, (1, 19, 10_000))) == sizes


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is reported often is written now and then, and at the end."""
    monkeypatch.setattr(campaign, "_REPORT_SECONDS", 3600)
    lines: list[str] = []
    progress = Progress(lines.append)
    for done in range(1_001):
        progress(done, 1_000)
    assert lines == ["1,000 of 1,000 (100 %) in 0 s"]
    monkeypatch.setattr(campaign, "_REPORT_SECONDS", 0)
    progress(5, 1_000)
    assert lines[1:] == ["5 of 1,000 (0 %) in 0 s"]
