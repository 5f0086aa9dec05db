#!/bin/sh
# Install what a bare Debian machine lacks for `make lint` and `make test` in full; run as root.
# Installs nothing that is there already, from wherever it came.
set -eu
python=${PYTHON:-python3}
export DEBIAN_FRONTEND=noninteractive

have() { command -v "$1" >/dev/null 2>&1; }
# Is the version $1 at least $2?
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }
updated=
update() { [ -n "$updated" ] || apt-get update -qq; updated=1; }
install() { update && apt-get install -y -qq --no-install-recommends "$@"; }

"$python" -c 'import ensurepip, venv' 2>/dev/null || install python3 python3-venv
have make || install make
have git || install git
[ -e /etc/ssl/certs/ca-certificates.crt ] || install ca-certificates
# InfluxDB is built: Go comes as a wheel, the parts in Rust and C need these.
have gcc || install gcc libc6-dev
have pkg-config || install pkg-config
cargo=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) || cargo=
if [ -z "$cargo" ] || ! at_least "$cargo" 1.83; then
    update
    # Debian 12 has a recent cargo under another name.
    if apt-cache show cargo-web >/dev/null 2>&1; then install cargo-web; else install cargo; fi
fi
# The wheel with Redis is for these alone.
"$python" -c 'import platform, sys; sys.exit(sys.version_info >= (3, 13) or platform.machine() != "x86_64")' ||
    have redis-server || have valkey-server || install redis-server
# Tests put a pooler before PostgreSQL.
have pgbouncer || [ -x /usr/sbin/pgbouncer ] || install pgbouncer
# The oldest PostgreSQL that urlmon serves, where Debian has it: 15 in Debian 12.
if [ -n "${CI:-}" ] && [ ! -x /usr/lib/postgresql/15/bin/postgres ]; then
    update
    if apt-cache show postgresql-15 >/dev/null 2>&1; then install postgresql-15; fi
fi
