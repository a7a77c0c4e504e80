#!/usr/bin/env bash
# The long runs behind the figures of the README: 100 upgrades in a row under each
# kind of usual load, 20 over IPv6, as an ordinary user, with releases that pile up, 50 of
# each scenario that is TLS, HTTP/2, slow, or behind a proxy, 20 for 400 clients over each
# of two networks that lose packets. Each run prints its accounting; one lost
# request ends it. And 100 upgrades by "server upgrade", whose counts have to agree with
# the client's. About an hour and a half on two cores.
#
#   bench/reach.sh                all of it
#   bench/reach.sh usual          what has no name
#   bench/reach.sh h2 nginx       these scenarios
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
	grep -E '^(to the |sent|PASS|FAIL|steady|median|one retirement|of th.se resumed|handshakes)' "$dir/out"
}

usual() {
	for load in new keepalive think post; do
		run --closed --load "$load" --upgrades 100 --rest 100ms --linger-timeout 500ms
	done
	run --closed --ipv6 --upgrades 20 --rest 150ms
	run --closed --overlap-next --upgrades 20 --rest 150ms
	run --upgrades 20 --rest 1s
	if [ "$(id -u)" -eq 0 ]; then
		as=(setpriv --reuid 65534 --regid 65534 --clear-groups env "TMPDIR=/tmp")
		run --closed --upgrades 20 --rest 150ms
		as=(env)
	fi
	OVERLAP_UPGRADES=100 go test -count 1 -v -run UpgradesByTheCommand ./cmd/server
	go test -run xxx -bench UpgradeOfAnIdle -benchtime 20x ./cmd/server
	go test -run xxx -bench StatusWithFifty -benchtime 20x ./cmd/server
	go test -run xxx -bench IdleHandover -benchtime 50x .
	go test -run xxx -bench HandoverInAGroup -benchtime 20x .
	go test -run xxx -bench Throughput -benchtime 40x ./cmd/server
	go test -run xxx -bench 'Memory|OverHTTP2' ./internal/drain
}

# rooted FLAG...: a run that takes a network of its own.
rooted() {
	[ "$(id -u)" -eq 0 ] || as=(unshare -r)
	run "$@"
	as=(env)
}

# far N: 20 upgrades for 400 clients over the network N, by each kind of load.
far() {
	[ "$(id -u)" -eq 0 ] || as=(unshare -r)
	for load in new keepalive; do
		run --wire "$1" --load $load --clients 400 --upgrades 20 --rest 500ms
		run --wire "$1" --tls --load $load --clients 400 --upgrades 20 --rest 500ms
	done
	run --wire "$1" --scenario h2 --upgrades 20 --rest 500ms # 100 streams on each of 4 connections
	run --wire "$1" --scenario wire-h2 --upgrades 20 --rest 500ms
	as=(env)
}

scenario() {
	case $1 in
	idle) # what a retirement costs, by the number of connections
		for clients in 100 1000 10000 15000; do
			run --scenario idle --clients $clients --upgrades 3 --rest 10s
		done ;;
	ws) run --scenario ws --upgrades 10 --rest 500ms ;;
	wire) far 80ms,1% ;;
	wire-far) far 300ms,5% ;;
	tls-resume | tls-resume-apart) run --scenario "$1" --upgrades 20 --rest 300ms ;;
	cost) "$dir/bench" cost ;; # nobody is upgraded
	queue-full | half-open) rooted --scenario "$1" --upgrades 20 --rest 500ms ;;
	pile-up | upgrade-in-drain) for _ in 1 2 3 4 5; do run --scenario "$1"; done ;;
	kill | kill-migrate | steering-off) rooted --scenario "$1" ;; # these have to lose
	*) run --scenario "$1" --upgrades 50 --rest 300ms ;;
	esac
}

as=(env)
if [ $# -eq 0 ]; then
	set -- usual tls-new tls-keepalive tls-resume tls-resume-apart h2 h2c trickle download nginx haproxy ws idle cost wire wire-far queue-full half-open pile-up upgrade-in-drain kill kill-migrate steering-off
fi
for name in "$@"; do
	if [ "$name" = usual ]; then usual; else scenario "$name"; fi
done
