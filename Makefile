# `make check` is what CI runs. `make help` lists the rest.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
NOBODY      = 65534

.PHONY: help check fmt vet lint test race unprivileged reach

help:
	@echo 'make check         all that CI runs: fmt, vet, lint, test, race, unprivileged'
	@echo 'make test          go test ./..., and what it skipped'
	@echo 'make race          the same under the race detector'
	@echo 'make unprivileged  the tests again as an ordinary user (when run by root)'
	@echo 'make reach         the long runs behind the figures of the README (ten minutes)'

check: fmt vet lint test race unprivileged

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
	go test -race ./...

# Compiled by whoever runs make, run as nobody. The tests that read the source tree
# or call the go command stay out: they have nothing to do with privileges.
unprivileged:
	@if [ $$(id -u) -ne 0 ]; then echo 'not root: make test was the unprivileged run'; exit 0; fi; \
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && chmod 755 "$$dir" && \
	install -d -o $(NOBODY) "$$dir/home" && \
	for pkg in . ./internal/listen ./internal/drain; do \
		go test -c -o "$$dir/unprivileged.test" $$pkg && \
		echo "$$pkg as user $(NOBODY)" && \
		(cd "$$dir/home" && HOME="$$dir/home" TMPDIR="$$dir/home" \
			setpriv --reuid $(NOBODY) --regid $(NOBODY) --clear-groups \
			"$$dir/unprivileged.test" -test.timeout 5m -test.skip 'Home|README') || exit 1; \
	done

reach:
	bench/reach.sh
