#!/bin/sh
# Install what a bare Debian machine lacks for `make lint` and `make test` in full; run as root.
# Installs nothing that is there already, from wherever it came.
set -eu
python=${PYTHON:-python3}
packages=

have() { command -v "$1" >/dev/null 2>&1; }
lacks() { packages="$packages $*"; }
# Is the version $1 at least $2?
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

"$python" -c 'import ensurepip, venv' 2>/dev/null || lacks python3 python3-venv
have make || lacks make
have git || lacks git
# InfluxDB is built: Go comes as a wheel, its part in Rust and C needs these.
have gcc || lacks gcc libc6-dev
have pkg-config || lacks pkg-config
[ -e /etc/ssl/certs/ca-certificates.crt ] || lacks ca-certificates
cargo=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) || cargo=
[ -n "$cargo" ] && at_least "$cargo" 1.83 || lacks CARGO
# The wheel with Redis is for these alone.
"$python" -c 'import platform, sys; sys.exit(sys.version_info >= (3, 13) or platform.machine() != "x86_64")' 2>/dev/null ||
    have redis-server || have valkey-server || lacks redis-server

[ -n "$packages" ] || exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# Debian 12 has a recent cargo under another name.
if apt-cache show cargo-web >/dev/null 2>&1; then cargo=cargo-web; else cargo=cargo; fi
# shellcheck disable=SC2046,SC2086  # words are wanted
apt-get install -y -qq --no-install-recommends $(echo $packages | sed "s/CARGO/$cargo/")
