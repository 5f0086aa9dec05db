from __future__ import annotations

import json
import subprocess
import sys
import types
from typing import TYPE_CHECKING, Annotated

import pytest
import typer

from urlmon.errors import (
    ConfigurationError,
    MigrationError,
    NotFoundError,
    UnavailableError,
    UrlmonError,
)
from urlmon_adapters.cli import _app, main
from urlmon_adapters.cli._settings import load_settings
from urlmon_adapters.cli._typer import new_app
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.settings import CommandSettings, RedisSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CANARY = "canary-4f1d8a"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, with a terminal that is wide enough."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[typer.Context], object]], None]:
    """Offer a function as `urlmon broken [--json]`."""

    def offer(action: Callable[[typer.Context], object]) -> None:
        app = new_app()

        @app.command()
        def broken(
            ctx: typer.Context,
            *,
            as_json: Annotated[bool, typer.Option("--json")] = False,  # noqa: ARG001
        ) -> object:
            return action(ctx)

        module = types.ModuleType("urlmon_adapters.cli.broken")
        module.__dict__["app"] = app
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(_app.COMMANDS, "broken", "Fail.")

    return offer


def failing(error: BaseException) -> Callable[[typer.Context], object]:
    def action(_: typer.Context) -> object:
        raise error

    return action


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Help lists every command, with examples, on standard output."""
    assert main(["--help"]) == ExitCode.OK

    out, err = capsys.readouterr()
    assert "Examples:" in out
    assert all(f"  {name} " in out for name in _app.COMMANDS)
    assert err == ""


@pytest.mark.parametrize("name", _app.COMMANDS)
def test_help_of_each_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A command's help begins with what the list of commands says, and has examples."""
    assert main([name, "-h"]) == ExitCode.OK

    usage, _, rest = capsys.readouterr().out.partition("\n\n")
    assert usage.startswith(f"Usage: urlmon {name} ")
    assert rest.strip().startswith(_app.COMMANDS[name])
    assert "Examples:" in rest


def test_help_imports_no_command() -> None:
    """What makes commands slow to import is not imported for help."""
    code = (
        "import sys; from urlmon_adapters.cli import main; main(['--help']);"
        "print({'pydantic', 'attrs', 'rich', 'psycopg', 'asyncio'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the help is a message, and the call a mistake."""
    assert main([]) == ExitCode.USAGE

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: urlmon ")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version of urlmon and of Python are one line."""
    assert main(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("urlmon 0.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["confg"],
            "urlmon: No such command 'confg'. Did you mean 'config'?\nTry 'urlmon --help'.",
        ),
        (["config", "--colour"], "urlmon: No such option: --colour\nTry 'urlmon config --help'."),
    ],
)
def test_wrong_use(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake in the use is said in one sentence, with where to read on."""
    assert main(arguments) == ExitCode.USAGE
    assert capsys.readouterr() == ("", said + "\n")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            ConfigurationError("DATABASE_URL is missing", "REDIS_URL is missing"),
            78,
            "the settings cannot be used:\n  - DATABASE_URL is missing\n  - REDIS_URL is missing",
        ),
        (UnavailableError("redis", "Cache.get", "refused"), 6, "Cache.get (redis): refused"),
        (NotFoundError("memory", "MonitorRepo.get", entity="monitor", key="7"), 1, "no monitor 7"),
        (MigrationError("drift"), 1, "drift"),
        (UrlmonError("anything of ours"), 1, "anything of ours"),
    ],
)
def test_errors(
    error: UrlmonError,
    code: int,
    said: str,
    command: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An error of ours is one message and its exit code; with --json it is one document."""
    command(failing(error))

    assert main(["broken"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("urlmon: ")
    assert err.endswith(said + "\n")
    assert "Traceback" not in err

    assert main(["broken", "--json"]) == code
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert err == ""
    assert document["schema"] == 1
    assert (document["error"]["code"], document["error"]["kind"]) == (code, type(error).__name__)
    assert document["error"].get("problems", []) == list(getattr(error, "problems", ()))


def test_wrong_use_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake in the use is a document as well, for a caller that reads documents."""
    assert main(["config", "--json", "--colour"]) == ExitCode.USAGE
    assert json.loads(capsys.readouterr().out)["error"]["code"] == ExitCode.USAGE


def test_unexpected_error(command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    """A bug is said to be one, and shows its traceback only when asked to."""
    command(failing(KeyError("lost")))

    assert main(["broken"]) == ExitCode.FAILED
    err = capsys.readouterr().err
    assert "unexpected KeyError: 'lost'" in err
    assert "Traceback" not in err

    assert main(["--traceback", "broken"]) == ExitCode.FAILED
    assert "in action\n    raise error" in capsys.readouterr().err


def test_errors_show_no_secret(
    command: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A secret of the settings is masked in a message, a document and a traceback."""

    class Wanted(CommandSettings):
        redis: RedisSettings

    def action(ctx: typer.Context) -> object:
        load_settings(ctx, Wanted)
        raise UrlmonError("refused " + CANARY)

    command(action)
    monkeypatch.setenv("REDIS_URL", f"redis://:{CANARY}@h/0")

    for arguments in (["broken"], ["broken", "--json"], ["--traceback", "broken"]):
        main(arguments)
        shown = "".join(capsys.readouterr())
        assert "refused ***" in shown
        assert CANARY not in shown


def test_result(command: Callable[..., None]) -> None:
    """What a command returns is the exit code; nothing is success."""
    command(lambda _: ExitCode.NOT_UP_TO_DATE)
    assert main(["broken"]) == 3
    command(lambda _: None)
    assert main(["broken"]) == 0


def test_interrupted(command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends a command silently, with the exit code a shell expects."""
    command(failing(KeyboardInterrupt()))

    assert main(["broken"]) == 130
    assert "".join(capsys.readouterr()).strip() == ""


def test_exit_codes() -> None:
    """The documented numbers do not change."""
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0,
        "FAILED": 1,
        "USAGE": 2,
        "NOT_UP_TO_DATE": 3,
        "LOCKED": 4,
        "DIVERGED": 5,
        "UNREACHABLE": 6,
        "CONFIGURATION": 78,
        "INTERRUPTED": 130,
    }
