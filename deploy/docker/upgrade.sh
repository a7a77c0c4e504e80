#!/bin/sh
# Puts a release in the place of the running one, in the colour that is free. All that matters
# is done by "server upgrade"; here are the colours, and what Docker is told.
set -eu

usage() {
	cat <<TEXT
Usage: upgrade.sh RELEASE [FLAG]...

Starts the image overlap:RELEASE in the free one of the colours blue and green, waits until
it serves, and retires the running release. Roll back by naming the release before. Flags
are those of "server upgrade", such as --soak 30s and --ready-timeout 2m.
Run it as root: an instance speaks only to its own user, which is in the image, and to root.
The verb is that of the server beside this script, not of an image: root runs it.

Exit code: 0 nothing was lost; 1 the running release is still in place, or something was
lost, and the last lines say which; 2 usage.
TEXT
}

# say does not care whether anybody reads it: the terminal may have gone.
say() { echo "upgrade.sh: $*" >&2 || :; }

# compose is the plugin, or what Debian has.
if docker compose version >/dev/null 2>&1; then
	compose() { docker compose "$@"; }
else
	compose() { docker-compose "$@"; }
fi

look() { docker inspect --format "$1" "overlap-$2" 2>/dev/null; }
runs() { [ "$(look '{{.State.Running}}' "$1")" = true ]; }
# A container's own instance: another service may have a release of the same name.
serves() { docker exec "overlap-$1" /server probe >/dev/null 2>&1; }
# restarts tries again: Docker changes nothing of a container that ends in that moment.
restarts() {
	for _ in 1 2 3 4 5; do
		docker update --restart "$2" "overlap-$1" >/dev/null && return
		sleep 0.2
	done
	say "that was: docker update --restart $2 overlap-$1. Type it"
	return 1
}

# putAway stops a colour for good: with a policy Docker would start at boot what has exited
# with anything but 0, stopped or not.
putAway() { docker stop "overlap-$1" >/dev/null && restarts "$1" no; }

# start is what "server upgrade" runs: Docker starts the colour, in a new container, and we
# stay until it serves. So one that ends before need not be waited for.
start() {
	compose up --no-start --force-recreate "$1"
	restarts "$1" on-failure # what is told to leave for being wrong has to stay away
	docker start "overlap-$1" >/dev/null
	until serves "$1"; do
		if [ "$(look '{{.State.Running}} {{.RestartCount}}' "$1")" != 'true 0' ]; then
			docker logs --tail 20 "overlap-$1"
			exit 1
		fi
		sleep 0.2
	done
}

# name writes down which release a colour runs. Compose reads it, also by hand.
name() {
	variable=$(echo "$1" | tr '[:lower:]' '[:upper:]')
	sed -i "s/^$variable=.*/$variable=$2/" .env
}

cd "$(dirname "$0")"
server=$PWD/server
case ${1:-} in
--start)
	release=$3
	start "$2"
	exit 0
	;;
-h | --help) usage; exit 0 ;;
'' | .* | -* | *[!A-Za-z0-9._-]*) usage >&2; exit 2 ;;
esac

release=$1
shift

[ "$(id -u)" -eq 0 ] || { say "run it as root"; exit 1; }

# One at a time: two would choose the same colour, and the loser would stop what the winner
# runs. What is started must not inherit the lock, or it would hold it for its life.
exec 9>lock
flock -n 9 || { say "another upgrade is under way"; exit 1; }
if runs blue && runs green; then
	say "both colours run. The one that is not wanted:"
	say "  docker stop overlap-COLOUR && docker update --restart no overlap-COLOUR"
	say "and the other one: docker update --restart unless-stopped overlap-COLOUR"
	exit 1
elif runs blue; then old=blue free=green
elif runs green; then old=green free=blue
else
	say "no colour runs: name a release in .env, and: docker compose up -d blue"
	exit 1
fi
since='{{.State.StartedAt}}'
was=$(look "$since" "$old")
before=$(look '{{.Config.Image}}' "$old")
before=${before#overlap:}
if [ "$before" = "$release" ]; then
	say "$release is in place already"
	exit 1
fi
docker image inspect "overlap:$release" >/dev/null || exit 1

# Ctrl-C, and the end of the terminal, are for "server upgrade", which takes back what can be
# taken back; then we go on.
trap : INT TERM HUP PIPE
name "$free" "$release"
# It is the instance that is told to leave, and not Docker, which would start it again.
restarts "$old" on-failure
code=0
"$server" upgrade --release "$release" --from-pid "$(look '{{.State.Pid}}' "$old")" --log upgrade.log "$@" -- "$PWD/upgrade.sh" --start "$free" "$release" 9>&- || code=1
trap '' INT TERM HUP PIPE # what follows is not to be cut short

# Something may have been lost, and the new release be in place all the same; it may even have
# crashed since then, and be started again. It is wrong only where the old one has not left,
# the very process: Docker may have started another one, if that has crashed.
if { [ "$(look "$since" "$old")" = "$was" ] && serves "$old"; } || { ! serves "$free" && runs "$old"; }; then
	putAway "$free" 2>/dev/null || : # if it was started at all
	restarts "$old" unless-stopped || :
	say "the output of $release: docker logs overlap-$free"
	say "$before is still in place"
	exit 1
fi
putAway "$old" || : # if it is still there
restarts "$free" unless-stopped || code=1
serves "$free" || { say "$before has left, and $release does not serve: docker logs overlap-$free"; code=1; }
exit $code
