"""Build InfluxDB into the cache: `python -m urlmon_adapters.servers [--if-possible]`.

With `--if-possible`, what keeps it from being built is said but is no failure.
"""

from __future__ import annotations

import sys

from urlmon_adapters.servers import ServerError, build_influxd, find_influxd


def main(arguments: list[str]) -> int:
    """Return the exit status."""
    found = find_influxd()
    if found is not None:
        if "--if-possible" not in arguments:
            _say(f"InfluxDB {found.version} is there already: {found.path}")
        return 0
    try:
        build_influxd(_say)
    except ServerError as exc:
        _say(str(exc))
        return 0 if "--if-possible" in arguments else 1
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
