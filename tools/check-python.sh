#!/bin/sh
# Say in one line what keeps the Python given as the argument from running urlmon.
set -eu
python=$1
if ! command -v "$python" >/dev/null; then
    echo "urlmon needs Python 3.11 or newer, and there is no '$python' on the PATH (another one: make PYTHON=python3.12 ...)" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "urlmon needs Python 3.11 or newer, and '$python' is $("$python" -V 2>&1) (another one: make PYTHON=python3.12 ...)" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "'$python' cannot make environments: install its venv module (Debian's package python3-venv)" >&2
    exit 1
fi
