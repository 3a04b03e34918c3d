#!/bin/sh
# Write requirements/*.txt anew from pyproject.toml, for every supported Python and platform at once.
# Wants uv on the PATH. Pass --upgrade (or --upgrade-package NAME) to move to newer versions.
set -eu
cd "$(dirname "$0")/.."

lock() {
    out=requirements/$1.txt
    shift
    uv pip compile pyproject.toml "$@" --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header --no-annotate --output-file "$out"
    # The same lock may not say where it was made or from where its packages came.
    if grep -nE '://|--(extra-)?index-url|--find-links|--trusted-host' "$out"; then
        echo "$out names an address" >&2
        exit 1
    fi
    { echo "# Pinned and hashed; written by scripts/lock.sh from pyproject.toml. Do not edit."; cat "$out"; } >"$out.new"
    mv "$out.new" "$out"
}

lock platform --extra postgresql --extra mysql "$@"
lock dev --extra dev --constraints requirements/platform.txt "$@"
lock bench --extra bench --constraints requirements/platform.txt "$@"
