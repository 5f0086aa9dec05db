"""A result writer that is killed at any moment keeps what it said was durable."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fixtures.campaign import CampaignSize

PROGRAM = Path(__file__).with_name("kill_spool.py")


@pytest.mark.campaign
async def test_kill_9(tmp_path: Path, campaign_size: CampaignSize) -> None:
    """After any number of kills every durable receipt is in the store or in the spool."""
    cycles = campaign_size(2_000)
    # A process of its own: it forks, which one with threads must not.
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, PROGRAM, tmp_path, str(cycles), "7"),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await program.communicate()
    assert program.returncode == 0
    report = json.loads(printed)
    assert report["lost"] == []
    assert report["killed"] == cycles
    assert report["told"] > cycles // 10
    assert report["stored"] > 0
