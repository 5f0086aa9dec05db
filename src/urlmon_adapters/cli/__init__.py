"""The `urlmon` command."""

from __future__ import annotations

from urlmon_adapters.cli._app import main

__all__ = ["main"]
