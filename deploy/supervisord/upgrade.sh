#!/bin/sh
# Puts a release in the place of the running one, in the slot that is free.
set -eu

usage() {
	cat <<TEXT
Usage: upgrade.sh RELEASE [FLAG]...

Starts /opt/overlap/releases/RELEASE by supervisord in the free one of the two slots, waits
until it serves, retires the running release, and frees its slot. Roll back by naming the
release before. Flags are those of "server upgrade", such as --soak 30s and
--ready-timeout 2m.

Exit code: 0 nothing was lost; 1 the running release is still in place, or something was
lost, and the last lines say which; 2 usage.
TEXT
}

say() { echo "upgrade.sh: $*" >&2; }

case ${1:-} in
-h | --help) usage; exit 0 ;;
'' | .* | *[!A-Za-z0-9._-]*) usage >&2; exit 2 ;;
esac

base=/opt/overlap
release=$1
shift
new=$base/releases/$release
for file in "$new/server" "$new/overlap.yaml"; do
	[ -e "$file" ] || { say "there is no $file"; exit 1; }
done

# The slot that is free is the one whose process does not run.
runs() { supervisorctl pid "overlap-$1" | grep -qvx 0; }
if runs 0 && runs 1; then
	say "both slots run: see supervisorctl status, and stop the one that is not wanted"
	exit 1
elif runs 0; then old=0 free=1
elif runs 1; then old=1 free=0
else
	say "no slot runs: link a release to $base/slots/0, and: supervisorctl start overlap-0"
	exit 1
fi

# Ctrl-C is for "server upgrade", which takes back what can be taken back; then we go on.
trap : INT TERM
ln -sfn "../releases/$release" "$base/slots/$free"
# The verb is that of the running release, which is known to work.
code=0
"$base/slots/$old/server" upgrade --release "$release" "$@" -- supervisorctl start "overlap-$free" || code=1

# Something may have been lost, and the new release be in place all the same.
if "$base/slots/$old/server" probe --release "$release" 2>/dev/null; then
	supervisorctl stop "overlap-$old" >/dev/null 2>&1 || : # it has left
	rm "$base/slots/$old"
else
	supervisorctl stop "overlap-$free" >/dev/null 2>&1 || : # if it runs at all
	rm "$base/slots/$free"
	say "the output of $release: supervisorctl tail overlap-$free"
	say "$(basename "$(readlink "$base/slots/$old")") is still in place"
fi
exit $code
