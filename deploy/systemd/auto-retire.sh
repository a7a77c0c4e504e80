#!/bin/sh
# To /opt/overlap, for auto-retire.conf: release $1 serves. Make it the one that the next boot
# starts, and have all others retire.
set -eu
release=$1
server=/opt/overlap/releases/$release/server

# One after the other: of two that are started at once the second finds itself retired, and
# changes nothing.
exec 9>/run/overlap-retire
flock 9
"$server" probe --release "$release"

systemctl --quiet --no-reload enable "overlap@$release"
for link in /etc/systemd/system/multi-user.target.wants/overlap@*.service; do
	unit=$(basename "$link")
	[ "$unit" = "overlap@$release.service" ] || systemctl --quiet --no-reload disable "$unit"
done

# Within TimeoutStartSec, at which systemd would stop who serves.
exec timeout 90 "$server" retire --all-but "$release"
