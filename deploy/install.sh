#!/usr/bin/env bash
# Install Penchant into .venv: exact versions from requirements.lock, then the project itself, editable.
# A second call costs nothing until the lock file, pyproject.toml or this script changes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
stamp=$venv/.installed
wanted=$(cat requirements.lock pyproject.toml deploy/install.sh | sha256sum | cut -d' ' -f1)
if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

python=${PYTHON:-python3.11}
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    echo "install: $python is not a working Python 3.11." >&2
    echo "  On Debian 12: apt-get install python3.11 python3.11-venv; elsewhere name one with PYTHON=/path/to/python3.11." >&2
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "install: $python lacks the module venv." >&2
    echo "  On Debian and Ubuntu: apt-get install python3.11-venv" >&2
    exit 1
fi

# Compiled bytecode makes Airflow and Feast start three times faster; a shell that forbids it must not slow every start.
unset PYTHONDONTWRITEBYTECODE

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
if [ ! -x "$venv/bin/uv" ]; then
    echo "install: uv, the installer, into $venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
fi

# uv reads none of pip's settings; a local folder of wheels is handed on to it.
find_links=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-$("$venv/bin/python" -m pip config get global.find-links 2>/dev/null || true)}}
if [ -n "$find_links" ]; then
    export UV_FIND_LINKS=$find_links
elif [ -z "${UV_TORCH_BACKEND:-}" ] && ! command -v nvidia-smi >/dev/null 2>&1 && [ ! -e /proc/driver/nvidia/version ]; then
    export UV_TORCH_BACKEND=cpu # the registry's own build brings gigabytes of CUDA packages, useless without a GPU
fi

echo "install: $(grep -c '==' requirements.lock) packages into $venv"
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --compile-bytecode --requirement requirements.lock
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
echo "$wanted" > "$stamp"
