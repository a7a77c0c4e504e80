#!/usr/bin/env bash
# A few runs, five minutes or so, and what they look like:
#
#   bench/out/NAME.gz      the raw results, each with the command that made it
#   bench/out/report.html  the page; and .txt, .bench for benchstat, and all pictures
#   bench/pictures/        those that the READMEs show
#   README.md              the table of other systems, between two comments
#
# Other systems have to be installed to be in the table: nginx-light haproxy caddy gunicorn.
# Releases that leave by Shutdown alone have to lose requests: if they did not, the zeros
# of the others would mean nothing. Exit code: 1 if a request was lost otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

out=bench/out
code=0
raw=()
rm -rf "$out"
mkdir -p "$out"

# record NAME FLAG...: a run that keeps its raw results.
record() {
	raw+=("$out/$1.gz")
	echo "== go run ./bench --raw $out/$1.gz ${*:2}"
	"${as[@]}" go run ./bench --raw "$out/$1.gz" "${@:2}" | grep -E '^(PASS|FAIL|disagreement)'
}

# ours NAME FLAG...: nothing may be lost.
ours() { record "$@" || code=1; }

# plain NAME FLAG...: the same, left as everybody does.
plain() {
	if record "$1" --retire plain "${@:2}"; then
		echo "nothing was lost: the client sees nothing" >&2
		code=1
	fi
}

# peers NAME FLAG...: other systems beside it, in one run.
peers() {
	raw+=("$out/$1.gz")
	echo "== go run ./bench --raw $out/$1.gz ${*:2}"
	go run ./bench --raw "$out/$1.gz" "${@:2}" | sed -n '/^system  /,$p' || code=1
}

# table FILE: the table between the comments of a README becomes that of FILE.
table() {
	go run ./bench report "$1" --markdown >"$out/peers.md"
	sed -i -e "/^<!-- peers -->$/r $out/peers.md" -e '/^<!-- peers -->$/,/^<!-- end of peers -->$/{/^<!-- /!d}' README.md
}

as=(env)
ours mixed --pace 2000 --rest 1s
plain mixed-plain --pace 2000 --rest 1s
few=(--upgrades 2 --rest 1s)
ours scenarios --scenario tls-new,tls-keepalive,h2,ws "${few[@]}"
plain scenarios-plain --scenario tls-new,tls-keepalive,h2 "${few[@]}"
if [ -c /dev/net/tun ]; then
	[ "$(id -u)" -eq 0 ] || as=(unshare -r)
	ours wire --scenario wire,wire-h2 "${few[@]}"
	plain wire-plain --scenario wire,wire-h2 "${few[@]}"
	ours hardships --scenario queue-full,half-open,kill,kill-migrate,steering-off "${few[@]}"
	as=(env)
else
	echo "there is no /dev/net/tun: nothing goes over a wire" >&2
fi

peers peers --peers all --rest 1s
table "$out/peers.gz"

go run ./bench report "${raw[@]}" --html "$out/report.html" --svg "$out" >"$out/report.txt"
go run ./bench report "${raw[@]}" --benchfmt >"$out/report.bench"
mkdir -p bench/pictures
cp "$out"/upgrade{,-net-http}-{light,dark}.svg bench/pictures/
echo "look at $out/report.html"
exit $code
