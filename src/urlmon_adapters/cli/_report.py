"""Turns a failure into one clear message and an exit code."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import typer

from urlmon.errors import ConfigurationError, UrlmonError
from urlmon_adapters.cli._invocation import print_json, say
from urlmon_adapters.cli.exit_codes import ExitCode, code_for

if TYPE_CHECKING:
    from urlmon_adapters.cli._invocation import Invocation


def report(error: Exception, invocation: Invocation, *, as_json: bool) -> ExitCode:
    """Tell of an error on standard error or, for `--json`, as the document on standard output."""
    code, message = _explain(error)
    message = invocation.redact(message)
    if invocation.traceback:
        say(invocation.redact("".join(traceback.format_exception(error))))
    if as_json:
        facts: dict[str, object] = {
            "code": int(code),
            "kind": type(error).__name__,
            "message": message,
        }
        if isinstance(error, ConfigurationError):
            facts["problems"] = list(map(invocation.redact, error.problems))
        print_json({"error": facts})
    else:
        say(f"urlmon: {message}")
    return code


def _explain(error: Exception) -> tuple[ExitCode, str]:
    if isinstance(error, typer.TyperException):
        # Only a mistake in the use of a command knows the context, which knows the command's help.
        path = getattr(getattr(error, "ctx", None), "command_path", "urlmon")
        return ExitCode.USAGE, f"{error.format_message()}\nTry '{path} --help'."
    code = code_for(error)
    if isinstance(error, ConfigurationError):
        return code, "\n  - ".join(("the settings cannot be used:", *error.problems))
    if isinstance(error, UrlmonError):
        return code, str(error)
    return code, (
        f"unexpected {type(error).__name__}: {error}\n"
        "This should not happen. Run it again as 'urlmon --traceback ...' and report what it says."
    )
