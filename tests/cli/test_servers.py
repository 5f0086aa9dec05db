from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from urlmon_adapters.cli import main
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.settings import CommandSettings, PostgresSettings, RedisSettings

if TYPE_CHECKING:
    from pathlib import Path

MAIN = "import sys; from urlmon_adapters.cli import main; sys.exit(main())"


class Started(CommandSettings):
    postgres: PostgresSettings
    redis: RedisSettings


@pytest.mark.usefixtures("postgres_server", "redis_server")
def test_servers_until_interrupted(tmp_path: Path) -> None:
    """The printed lines are settings of servers that run until Ctrl-C, which is no failure."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("URLMON_TEST_")}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "servers", "--folder", str(tmp_path)],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        assert process.stdout is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "Ctrl-C" in line:
                break
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
        assert process.wait(30) == ExitCode.OK, said

    words = shlex.split(out.replace("export ", ""))
    settings = Started.load(dict(word.split("=", 1) for word in words))
    assert "PostgreSQL 18" in said[0] + said[1] + said[2]
    for url in (settings.postgres.url, settings.redis.url):
        parts = urlsplit(url.reveal())
        with pytest.raises(ConnectionRefusedError), socket.socket() as client:
            client.connect((parts.hostname, parts.port))


def test_server_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A server that cannot be reached is one message, without the password."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"redis://:canary-4f1d8a@127.0.0.1:{taken.getsockname()[1]}"
        for name in ("REDIS_URL", "DATABASE_URL", "INFLUXDB_URL"):
            monkeypatch.setenv(f"URLMON_TEST_{name}", url)
        monkeypatch.setenv("URLMON_TEST_DATABASE_URL", url.replace("redis", "postgresql"))

        assert main(["servers", "--folder", str(tmp_path)]) == ExitCode.FAILED

    out, err = capsys.readouterr()
    assert out == ""
    assert "names no server that answers" in err
    assert "canary" not in err
