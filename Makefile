# `.ci/run` is the test command of the README and `make rest`. `make help` lists all.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
NOBODY      = 65534

# The Go release after the one that go.mod asks for: net/http does HTTP/2 in another
# way there.
NEXT_GO = go1.27.1

# Tests that need programs of others, and those that read the source tree or call the go
# command. They have nothing to do with races or privileges.
FOREIGN = Curl|Wrk|H2load|Scenarios|Soak|Peer|Contest|Prom|Tmux|Browser
TREE    = Home|README

.PHONY: help check rest fmt vet lint test race unprivileged next examples deploy-test deb report reach soak

help:
	@echo 'make check         test, fmt, vet, lint, race, unprivileged, next, examples; CI runs deploy-test, too'
	@echo 'make test          go test ./..., and what it skipped'
	@echo 'make race          most of it under the race detector'
	@echo 'make unprivileged  most of it as an ordinary user (when run by root)'
	@echo 'make next          what depends on it with $(NEXT_GO)'
	@echo 'make examples      the examples that are modules of their own'
	@echo 'make deploy-test   every recipe of deploy/, run for real; as root, in a sealed machine (10 minutes)'
	@echo 'make deb VERSION=  the Debian package, deploy/deb'
	@echo 'make report        some runs, and what they look like: bench/out/report.html (5 minutes)'
	@echo 'make reach         the long runs behind the figures of the README (1.5 hours)'
	@echo 'make soak SOAK=8h  upgrades, crashes and loads at random; one lost request ends it (4 hours)'

check: test rest

rest: fmt vet lint race unprivileged next examples

fmt:
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w $$unformatted"; exit 1; fi

# Linux is the promise; elsewhere it must build and stop politely.
vet:
	go vet ./...
	GOOS=darwin go vet ./...
	GOOS=windows go vet ./...

lint:
	go run $(STATICCHECK) ./...

# The skips are listed, so that none counts as a pass unseen.
test:
	@log=$$(mktemp); go test -v ./... >$$log 2>&1; code=$$?; \
	grep -E '^(ok|FAIL|---|panic|\?)' $$log | grep -v -- '--- PASS' || true; \
	if [ $$code -ne 0 ]; then cat $$log; fi; \
	grep -A1 -- '--- SKIP' $$log || echo 'nothing was skipped'; \
	rm -f $$log; exit $$code

race:
	go test -race -skip '$(FOREIGN)|$(TREE)' ./...

# Compiled by whoever runs make, run as nobody.
unprivileged:
	@if [ $$(id -u) -ne 0 ]; then echo 'not root: make test was the unprivileged run'; exit 0; fi; \
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && chmod 755 "$$dir" && \
	install -d -o $(NOBODY) "$$dir/home" && \
	for pkg in . ./internal/listen ./internal/drain ./internal/control ./internal/holder ./internal/printable; do \
		go test -c -o "$$dir/unprivileged.test" $$pkg && \
		echo "$$pkg as user $(NOBODY)" && \
		(cd "$$dir/home" && HOME="$$dir/home" TMPDIR="$$dir/home" \
			setpriv --reuid $(NOBODY) --regid $(NOBODY) --clear-groups \
			"$$dir/unprivileged.test" -test.timeout 5m -test.skip '$(FOREIGN)|$(TREE)') || exit 1; \
	done

next:
	GOTOOLCHAIN=$(NEXT_GO) go vet ./...
	GOTOOLCHAIN=$(NEXT_GO) go test ./internal/drain
	GOTOOLCHAIN=$(NEXT_GO) go test -run 'HTTP2|TLS|H2load|Ticket' .
	GOTOOLCHAIN=$(NEXT_GO) go test -run 'Scenarios.*/h2|Scenarios.*/tls' ./bench

# Modules of their own, so that what they import is not in our go.mod. (gofmt -l of
# fmt covers them: it knows no modules.)
examples:
	@for mod in examples/*/go.mod bench/plain/go.mod; do \
		dir=$$(dirname $$mod) && echo "$$dir" && \
		(cd $$dir && go mod tidy -diff && go vet ./... && GOOS=darwin go vet ./... && GOOS=windows go vet ./... && \
			go run $(STATICCHECK) ./... && go test -race ./...) || exit 1; \
	done

# One after the other: they measure, and each has a load on it. The skips are counted.
deploy-test:
	@for dir in deploy deploy/kubernetes/schema; do \
		echo "$$dir" && (cd $$dir && go mod tidy -diff && go vet ./... && go run $(STATICCHECK) ./...) || exit 1; \
	done
	shellcheck deploy/*/*.sh deploy/deb/DEBIAN/p*
	cd deploy/kubernetes/schema && go test -count=1 ./...
	@log=$$(mktemp); (cd deploy && go test -count=1 -p 1 -timeout 10m -v ./...) >$$log 2>&1; code=$$?; \
	grep -E '^(ok|FAIL|---|    ---|panic|recipe:)| requests sent, | \| ' $$log || true; \
	if [ $$code -ne 0 ]; then cat $$log; fi; \
	echo "$$(grep -c -- '--- PASS' $$log) passed, $$(grep -c -- '--- SKIP' $$log) skipped"; \
	grep -A1 -- '--- SKIP' $$log || true; \
	rm -f $$log; exit $$code

# Older than any release, and each later than those before.
VERSION = $(shell TZ=UTC git log -1 --date=format-local:%Y%m%d.%H%M%S --format=0~git%cd.%h)
deb:
	deploy/deb/build.sh $(VERSION)

report:
	bench/report.sh

reach:
	bench/reach.sh

# SEED=7 draws the same again. The packets of a loss are kept by tcpdump, as root; SOAKFLAGS=--packets=false
# goes without.
SOAK = 4h
soak:
	go run ./bench soak --for $(SOAK) $(SEED:%=--seed %) $(SOAKFLAGS)
