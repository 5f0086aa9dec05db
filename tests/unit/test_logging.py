from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import urlmon_adapters.logging
from urlmon.domain.secrets import Secret
from urlmon.errors import ConfigurationError
from urlmon_adapters.logging import configure_logging
from urlmon_adapters.settings import CommandSettings, InfluxSettings, LogSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary-4f1d8a"
LOGGER = logging.getLogger("urlmon.test_logging")


class _Settings(CommandSettings):
    influxdb: InfluxSettings = InfluxSettings(
        url="http://h", token=Secret(CANARY), org="acme", bucket="b"
    )


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    """Keep the handlers of pytest away, and put them back."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = kept
    root.setLevel(level)


def configure(**log: object) -> None:
    configure_logging(_Settings(log=LogSettings.model_validate(log)))


def events(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def fail() -> None:
    raise RuntimeError(f"refused for {CANARY} at redis://:{'hunter' * 2}@h/0")


@pytest.mark.parametrize("style", ["console", "json"])
def test_no_secret_in_any_output(
    style: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A secret is masked in messages, arguments, extras and tracebacks, in every output."""
    configure(format=style, directory=tmp_path)

    LOGGER.info("token %s", CANARY, extra={"url": f"http://h/{CANARY}", "password": "hunterhunter"})
    try:
        fail()
    except RuntimeError:
        LOGGER.exception("failed with %r", CANARY, stack_info=True)

    for text in (
        capsys.readouterr().err,
        (tmp_path / "combined.log").read_text(),
        (tmp_path / "error.log").read_text(),
    ):
        assert CANARY not in text
        assert "hunterhunter" not in text
        assert "refused for *** at redis://:***@h/0" in text


def test_json_lines(tmp_path: Path) -> None:
    """A file has one JSON object a line, with the time in UTC and the extra facts."""
    configure(directory=tmp_path)

    LOGGER.info("two\nlines é \ud800", extra={"rows": 3, "ratio": 0.5, "odd": float("nan")})

    text = (tmp_path / "combined.log").read_text(encoding="utf-8")
    (event,) = events(text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(event.pop("time")))
    assert event == {
        "level": "INFO",
        "logger": "urlmon.test_logging",
        "message": "two\nlines é \ud800",
        "rows": 3,
        "ratio": 0.5,
        "odd": "nan",
    }


def test_console_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """The console has one line an event, in which no control character survives."""
    configure(format="console")

    LOGGER.warning("forged\n2026-01-01 line \x1b[31m", extra={"rows": 3})

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(r" WARNING urlmon.test_logging: forged\x0a2026-01-01 line \x1b[31m rows=3")


def test_levels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The level is that of standard error; the files have theirs."""
    configure(level="ERROR", format="json", directory=tmp_path)

    for level in (logging.DEBUG, logging.INFO, logging.ERROR):
        LOGGER.log(level, "event")

    def levels(text: str) -> list[object]:
        return [event["level"] for event in events(text)]

    assert levels(capsys.readouterr().err) == ["ERROR"]
    assert levels((tmp_path / "combined.log").read_text()) == ["INFO", "ERROR"]
    assert levels((tmp_path / "error.log").read_text()) == ["ERROR"]


def test_auto_format(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a choice a terminal gets lines for a person, anything else gets JSON."""
    configure()
    LOGGER.info("piped")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    configure()
    LOGGER.info("typed")

    piped, typed = capsys.readouterr().err.splitlines()
    assert json.loads(piped)["message"] == "piped"
    assert typed.endswith("INFO    urlmon.test_logging: typed")


def test_files_are_made_when_needed(tmp_path: Path) -> None:
    """No file is made before its first line."""
    configure(directory=tmp_path / "logs")
    assert not list((tmp_path / "logs").iterdir())

    LOGGER.info("event")
    assert [file.name for file in (tmp_path / "logs").iterdir()] == ["combined.log"]


def test_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is full is set aside, whole lines only, and five old ones are kept."""
    monkeypatch.setattr(urlmon_adapters.logging, "_FILE_BYTES", 300)
    configure(directory=tmp_path)

    for number in range(40):
        LOGGER.info("event %d", number)

    names = {"combined.log", *(f"combined.log.{number}" for number in range(1, 6))}
    assert {file.name for file in tmp_path.iterdir()} == names
    assert all(events(file.read_text()) for file in tmp_path.iterdir())


def test_unusable_folder(tmp_path: Path) -> None:
    """A folder that cannot be made is a fault of the settings, told by name."""
    (tmp_path / "file").touch()

    with pytest.raises(
        ConfigurationError, match=r"URLMON_LOG_DIR: cannot make .*: Not a directory"
    ):
        configure(directory=tmp_path / "file" / "logs")


def test_configured_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """Configuring again replaces, and does not double, the output."""
    configure(format="json")
    configure(format="json")

    LOGGER.info("event")

    assert len(events(capsys.readouterr().err)) == 1


def test_hints_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt setting is warned about as soon as warnings can be seen."""
    configure_logging(CommandSettings(log=LogSettings(format="json"), hints=("REDIS_URI is set",)))

    (event,) = events(capsys.readouterr().err)
    assert (event["level"], event["message"]) == ("WARNING", "REDIS_URI is set")


def test_import_configures_nothing() -> None:
    """Importing leaves logging as it was, so that an application's own set-up stands."""
    code = (
        "import logging, urlmon, urlmon_adapters.logging, urlmon_adapters.settings;"
        "assert not logging.getLogger().handlers"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
