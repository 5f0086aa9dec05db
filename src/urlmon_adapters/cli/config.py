"""`urlmon config`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from urlmon.errors import ConfigurationError
from urlmon_adapters._redaction import MASK, mask_url
from urlmon_adapters._settings_model import build, known_settings
from urlmon_adapters.cli._invocation import Invocation, print_json, say
from urlmon_adapters.cli._typer import examples, new_app
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.settings import Settings, gather

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from urlmon_adapters._environment import Environment

app = new_app()


@app.command(
    epilog=examples("urlmon config", "urlmon config --json | jq '.settings.DATABASE_URL.origin'")
)
def config(
    ctx: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> ExitCode:
    """Show the settings in effect, without secrets.

    Also says where each value comes from, and what keeps the settings from being used: with such a
    problem the exit code is 78.
    """
    invocation = ctx.ensure_object(Invocation)
    environment = gather(invocation.environ, dotenv=invocation.dotenv)
    try:
        build(Settings, environment)
        problems: tuple[str, ...] = ()
    except ConfigurationError as exc:
        problems = exc.problems
    known = sorted(known_settings(Settings).items())
    rows = {name: _describe(name, info, environment) for name, info in known}
    if as_json:
        settings = {
            name: {"value": value, "origin": origin} for name, (value, origin) in rows.items()
        }
        print_json({"settings": settings, "problems": problems, "hints": environment.hints})
    else:
        _print_table(rows)
        for line in (*problems, *environment.hints):
            say(line)
    return ExitCode.CONFIGURATION if problems else ExitCode.OK


def _describe(name: str, info: FieldInfo, environment: Environment) -> tuple[str | None, str]:
    """Return a setting's value as it may be shown, and where it comes from."""
    value = environment.values.get(name)
    if value is None:
        unset = info.is_required() or info.default in {None, ()}
        return (None, "not set") if unset else (str(info.default), "default")
    if not info.repr:
        value = mask_url(value) if "://" in value else MASK
    return value, environment.origins[name]


def _print_table(rows: dict[str, tuple[str | None, str]]) -> None:
    wide = max(map(len, rows)), max(len(value or "") for value, _ in rows.values())
    for name, (value, origin) in rows.items():
        typer.echo(f"{name:<{wide[0]}}  {value or '':<{wide[1]}}  {origin}")
