#!/bin/sh
# Puts a release in the place of the running one, in the slot that is free.
set -eu

usage() {
	cat <<TEXT
Usage: upgrade.sh RELEASE [FLAG]...

Starts /opt/overlap/releases/RELEASE by supervisord in the free one of the two slots, waits
until it serves, retires the running release, and frees its slot. Roll back by naming the
release before. Flags are those of "server upgrade", such as --soak 30s and
--ready-timeout 2m. Run it as root, to whom supervisord listens.

Exit code: 0 nothing was lost; 1 the running release is still in place, or something was
lost, and the last lines say which; 2 usage.
TEXT
}

# say does not care whether anybody reads it: the terminal may have gone.
say() { echo "upgrade.sh: $*" >&2 || :; }

case ${1:-} in
-h | --help) usage; exit 0 ;;
'' | .* | -* | *[!A-Za-z0-9._-]*) usage >&2; exit 2 ;;
esac

base=/opt/overlap
release=$1
shift
new=$base/releases/$release
for file in "$new/server" "$new/overlap.yaml"; do
	[ -e "$file" ] || { say "there is no $file"; exit 1; }
done

[ "$(id -u)" -eq 0 ] || { say "run it as root"; exit 1; }

# One at a time: two would choose the same slot, and the loser would stop what the winner runs.
# What is started must not inherit the lock: supervisorctl waits for startsecs, and outlives us.
exec 9>"$base/lock"
flock -n 9 || { say "another upgrade is under way"; exit 1; }

# The slot that is free is the one whose process does not run. (Asking takes a third of a second.)
process() { supervisorctl pid "overlap-$1"; }
old='' free=''
for slot in 0 1; do
	pid=$(process $slot) || :
	case $pid in
	0) free=$slot ;;
	'' | *[!0-9]*) say "supervisord does not tell about overlap-$slot: $pid"; exit 1 ;;
	*) old=$slot was=$pid ;;
	esac
done
if [ -z "$free" ]; then
	say "both slots run. The one that is not wanted: supervisorctl stop overlap-SLOT && rm $base/slots/SLOT"
	exit 1
elif [ -z "$old" ]; then
	say "no slot runs: link a release to $base/slots/0, and: supervisorctl start overlap-0"
	exit 1
fi
before=$(basename "$(readlink "$base/slots/$old")")
if [ "$release" = "$before" ]; then
	say "$release is in place already"
	exit 1
fi

# The verb is that of the running release, which is known to work.
server=$base/releases/$before/server
# By number: another service may have a release of the same name.
serves() { "$server" probe --pid "$1" 2>/dev/null; }
# leave stops the slot, if it runs at all, and frees it.
leave() {
	supervisorctl stop "overlap-$1" >/dev/null 2>&1 || :
	rm "$base/slots/$1"
}

# Ctrl-C, and the end of the terminal, are for "server upgrade", which takes back what can be
# taken back; then we go on.
trap : INT TERM HUP PIPE
ln -sfn "../releases/$release" "$base/slots/$free"
code=0
"$server" upgrade --release "$release" --from-pid "$was" "$@" -- supervisorctl start "overlap-$free" 9>&- || code=1
trap '' INT TERM HUP PIPE # what follows is not to be cut short

# Something may have been lost, and the new release be in place all the same; it may even have
# crashed since then, and be started again. It is wrong only where the old one has not left,
# the very process: supervisord may have started another one, if that has crashed.
if serves "$was" || { ! serves "$(process "$free")" && process "$old" | grep -qx '[1-9][0-9]*'; }; then
	leave "$free"
	say "the output of $release: supervisorctl tail overlap-$free"
	say "$before is still in place"
	exit 1
fi
leave "$old"
serves "$(process "$free")" || { say "$before has left, and $release does not serve: supervisorctl tail overlap-$free"; code=1; }
exit $code
