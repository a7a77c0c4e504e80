#!/bin/sh
# Runs a release in the foreground, as the user overlap: the one that is named, or the
# current one.
set -eu

base=$(cd "$(dirname "$0")" && pwd -P)
release=$(basename "${1:-$(readlink "$base/current")}")
server=$base/releases/$release/server
[ -x "$server" ] || { echo "start.sh: there is no program $server" >&2; exit 1; }
exec setpriv --reuid overlap --regid overlap --init-groups \
	"$server" serve --config "$base/overlap.yaml" --release "$release"
