"""Run one server, and stop it when the process that asked for it is gone.

Started as a program of its own, between the caller and the server.  The caller holds the other
end of our standard input: when the caller ends in whatever way, SIGKILL included, the kernel closes
the pipe, we read the end of file and stop the server.  This needs nothing but POSIX and survives
the change of uid that clears a parent-death signal; and as we are the server's parent, no signal of
ours can hit a process that merely got the same pid.

The first argument is a JSON object (command, cwd, fds, user, group,
extra_groups, stop_signal, stop_seconds).
We print the server's pid, then obey lines of numbers: a signal for the server, followed by the pids
of helper processes that are to get it too.  We answer each with a line once the signal is sent.
Signal 0 asks for an orderly stop.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    """Start the server and stay until it has ended; return its exit status."""
    spec = json.loads(sys.argv[1])
    try:
        child = subprocess.Popen(  # noqa: S603  # the caller's own command, without a shell
            spec["command"],
            cwd=spec["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            pass_fds=spec["fds"],
            user=spec["user"],
            group=spec["group"],
            extra_groups=spec["extra_groups"],
        )
    except (OSError, subprocess.SubprocessError) as exc:
        sys.stderr.write(f"cannot run {spec['command'][0]}: {exc}\n")
        return 127
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler, because an ignored signal would be inherited by the server.
        signal.signal(number, lambda *_: child.send_signal(spec["stop_signal"]))
    helpers: set[int] = set()
    threading.Thread(target=_obey, args=(child, helpers, spec), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):  # the caller is gone already: _obey sees it too
        print(child.pid, flush=True)  # noqa: T201  # the caller reads it
    status = child.wait()
    _signal_all(helpers, signal.SIGCONT)  # a suspended helper could not notice that it is over
    return status if status >= 0 else 128 - status


def _obey(child: subprocess.Popen[bytes], helpers: set[int], spec: dict[str, int]) -> None:
    for line in sys.stdin:
        number, *pids = map(int, line.split())
        if number == 0:
            break
        helpers.update(pids)
        child.send_signal(number)
        _signal_all(pids, number)
        with contextlib.suppress(BrokenPipeError):
            print("sent", flush=True)  # noqa: T201  # the caller waits for it
    _signal_all(helpers, signal.SIGCONT)
    child.send_signal(signal.SIGCONT)
    child.send_signal(spec["stop_signal"])
    try:
        child.wait(spec["stop_seconds"])
    except subprocess.TimeoutExpired:
        child.kill()


def _signal_all(pids: set[int] | list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


if __name__ == "__main__":
    sys.exit(main())
