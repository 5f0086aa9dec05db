"""What tests of commands share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from urlmon_adapters._settings_model import known_settings
from urlmon_adapters.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Run in an empty folder, without settings, and put the handlers of pytest back."""
    monkeypatch.chdir(tmp_path)
    for name in known_settings(Settings):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield
    root.handlers[:] = kept
    root.setLevel(level)
