#!/bin/sh
# To /opt/overlap, for auto-retire.conf: release $1 serves. Make it the one that the next boot
# starts, and have all others retire.
set -eu
release=$1

for link in /etc/systemd/system/multi-user.target.wants/overlap@*.service; do
	unit=$(basename "$link")
	if [ "$unit" != "overlap@$release.service" ] && [ -L "$link" ]; then
		systemctl --quiet --no-reload disable "$unit"
	fi
done
systemctl --quiet --no-reload enable "overlap@$release"

# One after the other: of two that are started at once the second finds itself retired, and
# "retire" refuses. Within TimeoutStartSec, at which systemd would stop who serves.
exec flock /run/overlap-retire timeout 90 "/opt/overlap/releases/$release/server" retire --all-but "$release"
