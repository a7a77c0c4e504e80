#!/bin/sh
# Puts a release in the place of the running one. All that matters is done by "server
# upgrade"; here are the names, the link, and what to keep.
set -eu

keep=5       # releases
user=overlap # as in start.sh

usage() {
	cat <<TEXT
Usage: upgrade.sh RELEASE [FLAG]...

Starts releases/RELEASE/server beside the running release, waits until it serves, retires
the running one, and makes the link "current" point to it. Roll back by naming the release
before. Of the releases that have served it keeps the last $keep.

Flags are those of "server upgrade", such as --soak 30s and --ready-timeout 2m.
Run it as root; the releases run as the user of start.sh.

Exit code: 0 nothing was lost; 1 the running release is still in place, or something was
lost, and the last lines say which; 2 usage.
TEXT
}

# say does not care whether anybody reads it: the terminal may have gone.
say() { echo "upgrade.sh: $*" >&2 || :; }

# serves asks as the user of the service, whom no instance of another service answers: that may
# have a release of the same name.
serves() { setpriv --reuid "$user" --regid "$user" --init-groups "$server" probe --release "$1" 2>/dev/null; }

# link makes "current" point to the new release, at once: ln alone would remove it first.
link() {
	ln -sfn "releases/$release" "$base/current.new"
	mv -T "$base/current.new" "$base/current"
}

# prune removes old releases that have served. The time of a mark is when its release was last
# put in place, or replaced.
prune() {
	touch "$base/releases/$before/served" "$base/releases/$release/served" || return
	# shellcheck disable=SC2012 # the names of releases have no spaces
	ls -1t "$base"/releases/*/served | tail -n +$((keep + 1)) | while read -r mark; do
		old=$(dirname "$mark")
		say "removing release $(basename "$old")"
		rm -rf "$old"
	done
}

case ${1:-} in
-h | --help) usage; exit 0 ;;
'' | .* | -* | *[!A-Za-z0-9._-]*) usage >&2; exit 2 ;;
esac

base=$(cd "$(dirname "$0")" && pwd -P)
release=$1
shift
if [ ! -x "$base/releases/$release/server" ]; then
	say "there is no program $base/releases/$release/server"
	exit 1
fi

[ "$(id -u)" -eq 0 ] || { say "run it as root: the releases run as another user"; exit 1; }

# One at a time. What is started must not inherit the lock, or it would hold it for its life.
exec 9>"$base/lock"
flock -n 9 || { say "another upgrade is under way"; exit 1; }
before=$(readlink "$base/current") || { say "there is no link $base/current to the running release"; exit 1; }
before=$(basename "$before")
# The verb is that of the running release, which is known to work.
server=$base/releases/$before/server
[ -x "$server" ] || { say "$base/current points to $before, and there is no program $server"; exit 1; }
serves "$before" || {
	say "$base/current points to $before, which does not serve. See who does: $server status"
	exit 1
}
[ "$release" != "$before" ] || { say "$release is in place already; who else serves: $server status"; exit 1; }

# Ctrl-C, and the end of the terminal, are for "server upgrade", which takes back what can be
# taken back; then we go on.
trap : INT TERM HUP PIPE
code=0
"$server" upgrade --log "$base/log/$release.log" "$@" -- "$base/start.sh" "$release" 9>&- || code=1
trap '' INT TERM HUP PIPE # what follows is not to be cut short

# Something may have been lost, and the new release be in place all the same.
if serves "$before"; then
	say "$before is still in place"
	if serves "$release"; then say "$release serves beside it: $server retire $release"; fi
	exit 1
fi
if ! serves "$release"; then
	say "neither $before nor $release serves: see $base/log, and start one by start.sh RELEASE"
	exit 1
fi
link
prune || say "old releases stay"
exit $code
