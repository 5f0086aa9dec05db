"""`urlmon servers`."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from urlmon_adapters.cli._invocation import Invocation, say
from urlmon_adapters.cli._typer import examples, new_app
from urlmon_adapters.cli.exit_codes import ExitCode
from urlmon_adapters.servers import running_servers

app = new_app()


@app.command(epilog=examples("urlmon servers >servers.env", ". ./servers.env; urlmon config"))
def servers(
    ctx: typer.Context,
    *,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where their data and logs are kept.")
    ] = Path(".urlmon/servers"),
) -> ExitCode:
    """Run PostgreSQL, Redis and InfluxDB for development.

    Prints the settings that name them, as lines for a shell, then keeps them running until Ctrl-C.
    """
    with running_servers(folder, environ=ctx.ensure_object(Invocation).environ) as started:
        for server, why in started.missing.items():
            say(f"{server} is missing: {why}")
        if not started.running:
            return ExitCode.FAILED
        for server, origin in started.running.items():
            say(f"{server} {origin}")
        for name, value in started.environment.items():
            typer.echo(f"export {name}={shlex.quote(value)}")
        sys.stdout.flush()
        # Here the interruption is how the command ends, and no failure.  Blocked before it is asked
        # for, it waits for us however early it comes.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        say("Press Ctrl-C to stop them.")
        signal.sigwait({signal.SIGINT})
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return ExitCode.OK
