#!/bin/sh
# Runs a release in the foreground, as the user overlap: the one that is named, or the
# current one.
set -eu

base=$(cd "$(dirname "$0")" && pwd -P)
release=${1:-$(readlink "$base/current")}
exec setpriv --reuid overlap --regid overlap --init-groups \
	"$base/releases/$(basename "$release")/server" serve --config "$base/overlap.yaml" --release "$(basename "$release")"
