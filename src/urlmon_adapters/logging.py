"""Logging for an application or a command; the library itself only logs, and configures nothing."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Final

from urlmon.errors import ConfigurationError
from urlmon_adapters._redaction import MASK, Redactor, names_a_secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from urlmon_adapters.settings import CommandSettings

_LOGGER: Final = logging.getLogger("urlmon.settings")
_FILE_BYTES: Final = 10_000_000
_FILES_KEPT: Final = 5
# What `logging` sets on every record; anything else came in as `extra`.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


def configure_logging(settings: CommandSettings) -> None:
    """Send what is logged to standard error and, where asked for, to files.

    `combined.log` has everything from INFO, `error.log` everything from ERROR, as one JSON object a
    line; each is rotated at 10 MB, five old ones are kept, and none is made before its first line.
    Secrets are masked in all of them.  Replaces what was configured before.

    Raises:
        ConfigurationError: The folder for the files cannot be written to.
    """
    redact = Redactor(settings.secrets())
    level = logging.getLevelNamesMapping()[settings.log.level]
    as_json = JsonFormatter(redact)
    on_terminal = settings.log.format == "auto" and sys.stderr.isatty()
    console = settings.log.format == "console" or on_terminal
    stream = logging.StreamHandler()
    stream.setFormatter(ConsoleFormatter(redact) if console else as_json)
    stream.setLevel(level)
    handlers: list[logging.Handler] = [stream]
    if settings.log.directory is not None:
        _check_folder(settings.log.directory)
        level = min(level, logging.INFO)
        for name, least in (("combined.log", logging.INFO), ("error.log", logging.ERROR)):
            file = RotatingFileHandler(
                settings.log.directory / name,
                maxBytes=_FILE_BYTES,
                backupCount=_FILES_KEPT,
                encoding="utf-8",
                errors="backslashreplace",
                delay=True,
            )
            file.setFormatter(as_json)
            file.setLevel(least)
            handlers.append(file)
    logging.basicConfig(handlers=handlers, level=level, force=True)
    for hint in settings.hints:
        _LOGGER.warning("%s", hint)


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(f"URLMON_LOG_DIR: cannot make {folder}: {exc.strerror}") from exc
    if not os.access(folder, os.W_OK):
        raise ConfigurationError(f"URLMON_LOG_DIR: cannot write to {folder}")


class _RedactingFormatter(logging.Formatter):
    """Masks secrets in the finished text, so in the exception's as well.

    A formatter belongs to one handler and sees every record that reaches it, from whatever logger;
    a filter would have to change the record itself, which other handlers share.
    """

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def _instant(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return at.replace("+00:00", "Z")

    def _trace(self, record: logging.LogRecord) -> str:
        parts = []
        if record.exc_info:
            parts.append(self.formatException(record.exc_info))
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return self._redact("\n".join(parts))


class ConsoleFormatter(_RedactingFormatter):
    """Writes a line for a person: time, level, logger, message, extra facts."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with a traceback below it if there is one."""
        facts = "".join(f" {name}={value}" for name, value in _extra(record, self._redact).items())
        message = self._redact(record.getMessage())
        head = f"{self._instant(record)} {record.levelname:<7} {record.name}: {message}{facts}"
        return "\n".join(filter(None, (head.translate(_CONTROL), self._trace(record))))


class JsonFormatter(_RedactingFormatter):
    """Writes one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object; extra facts stand beside the keys that every line has."""
        line: dict[str, object] = {
            "time": self._instant(record),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        trace = self._trace(record)
        if trace:
            line["exception"] = trace
        for name, value in _extra(record, self._redact).items():
            line.setdefault(name, value)
        return json.dumps(line, ensure_ascii=False)


def _extra(record: logging.LogRecord, redact: Redactor) -> Mapping[str, object]:
    """Return the facts given as `extra`: numbers and booleans as they are, all else as text."""
    facts: dict[str, object] = {}
    for name, value in vars(record).items():
        if name in _STANDARD:
            continue
        if names_a_secret(name):
            facts[name] = MASK
        elif isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
            facts[name] = value
        else:
            facts[name] = redact(str(value))
    return facts
