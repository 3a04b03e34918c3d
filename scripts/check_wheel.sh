#!/bin/sh
# Build the wheel, install it into an empty environment with the locked requirements of the platform,
# and run the main job from another folder.
set -eu
cd "$(dirname "$0")/.."
make --no-print-directory dist
wheel=$(ls "$PWD"/dist/*.whl)
lock=$PWD/requirements/platform.txt
python=$PWD/.venv/bin/python
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
cd "$folder"
"$python" -m venv empty
PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_DISABLE_PIP_VERSION_CHECK
empty/bin/python -m pip install --quiet --require-hashes -r "$lock"
empty/bin/python -m pip install --quiet --no-deps --no-index "$wheel"
# whatever the wheel says it needs is there: installed by its name alone, it runs
empty/bin/python -m pip check
empty/bin/tongbao demo --once >story.txt 2>&1 || { cat story.txt; exit 1; }
tail -n 3 story.txt
