#!/bin/sh
# Runs a release in the foreground: the one that is named, or the current one.
set -eu

base=$(cd "$(dirname "$0")" && pwd -P)
release=${1:-$(basename "$(readlink "$base/current")")}
exec "$base/releases/$release/server" serve --config "$base/overlap.yaml" --release "$release"
