"""Loads settings for a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from urlmon_adapters._redaction import Redactor
from urlmon_adapters.cli._invocation import Invocation
from urlmon_adapters.logging import configure_logging
from urlmon_adapters.settings import CommandSettings

if TYPE_CHECKING:
    import typer

_S = TypeVar("_S", bound=CommandSettings)


def load_settings(ctx: typer.Context, kind: type[_S]) -> _S:
    """Load what a command needs from the environment and `.env`, and set up logging by it.

    Raises:
        ConfigurationError: As for `CommandSettings.load`.
    """
    invocation = ctx.ensure_object(Invocation)
    settings = kind.load(invocation.environ, dotenv=invocation.dotenv)
    invocation.redact = Redactor(settings.secrets())
    configure_logging(settings)
    return settings
