#!/usr/bin/env bash
# Makes .venv-peers, where the peers of peers.txt live beside this package; needs `make` to have made .venv.
set -euo pipefail
cd "$(dirname "$0")/../.."
uv=.venv/bin/uv
if [ -n "${PIP_FIND_LINKS:-}" ]; then
    export UV_FIND_LINKS="${UV_FIND_LINKS:-$PIP_FIND_LINKS}"
else
    export UV_TORCH_BACKEND="${UV_TORCH_BACKEND:-cpu}"
fi
"$uv" venv --allow-existing --python 3.11 .venv-peers
"$uv" pip install --python .venv-peers/bin/python -r benchmarks/accuracy/peers.txt
"$uv" pip install --python .venv-peers/bin/python --no-deps -e .
