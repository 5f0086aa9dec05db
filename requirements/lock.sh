#!/bin/sh
# Make the locked, hashed requirement files again from pyproject.toml; run by `make lock`.
# They name no index, so that an installation follows whatever index the machine is set up with.
set -eu
cd "$(dirname "$0")/.."
compile() { "${UV:-uv}" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header "$@"; }
compile pyproject.toml --extra embedded -o requirements/demo.txt
compile pyproject.toml --extra embedded --group test --group lint -c requirements/demo.txt -o requirements/dev.txt
compile --group influxd -o tools/influxd/go-requirements.txt
echo 'uv==0.13.9' | compile - -o requirements/uv.txt
