#!/usr/bin/env bash
# The long runs behind the figures of the README: 100 upgrades in a row under each
# kind of load, 20 over IPv6, as an ordinary user, with releases that pile up, and the
# latency around 20 handovers. Each run prints its accounting; one lost request ends it.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
go build -o "$dir/server" ./cmd/server
go build -o "$dir/bench" ./bench

run() {
	echo "== bench $*"
	"${as[@]}" "$dir/bench" --server "$dir/server" "$@" >"$dir/out" 2>&1 || { cat "$dir/out"; exit 1; }
	grep -E '^(sent|PASS|FAIL|steady|median)' "$dir/out"
}

as=(env)
for load in new keepalive think post; do
	run --closed --load "$load" --upgrades 100 --rest 100ms --linger-timeout 500ms
done
run --closed --ipv6 --upgrades 20 --rest 150ms
run --closed --overlap-next --upgrades 20 --rest 150ms
run --upgrades 20 --rest 1s
if [ "$(id -u)" -eq 0 ]; then
	as=(setpriv --reuid 65534 --regid 65534 --clear-groups env "TMPDIR=/tmp")
	run --closed --upgrades 20 --rest 150ms
fi

go test -run xxx -bench IdleHandover -benchtime 50x .
go test -run xxx -bench Throughput -benchtime 40x ./cmd/server
