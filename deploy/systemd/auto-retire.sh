#!/bin/sh
# To /opt/overlap, for auto-retire.conf: release $1 serves. Make it the one that the next boot
# starts, and stop all others.
set -eu
new=overlap@$1.service

# One after the other: of two that are started at once the first stops the second.
exec 9>/run/overlap-retire
flock -w 100 9 || { echo "another release has been at this for 100 s: both serve, see overlap@*" >&2; exit 1; }
"/opt/overlap/releases/$1/server" probe --pid "$MAINPID"

systemctl --quiet --no-reload enable "$new"
for link in /etc/systemd/system/multi-user.target.wants/overlap@*.service; do
	unit=$(basename "$link")
	[ "$unit" = "$new" ] || systemctl --quiet --no-reload disable "$unit"
done

# Not by "server retire": systemd would start again who crashes while it leaves, and that one
# would stop us. A stop goes on when we no longer wait for it.
systemctl list-units --plain --no-legend --state=active,activating,reloading 'overlap@*.service' | cut -d ' ' -f 1 |
	grep -v -x -F "$new" | timeout 90 xargs --no-run-if-empty systemctl stop
