// Package peer is other systems that are upgraded while they serve, each as its own manual
// says, with the settings that it recommends for that: what overlap is measured beside.
//
// Each answers GET / as the reference service does: with the name of its release in the body
// and in the header "Release". A release is a configuration, or a program, with that name.
package peer

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// Peer is a system, and a way to upgrade it.
type Peer struct {
	Name    string           // in one word
	Subject evidence.Subject // what the report says of it

	program string   // that has to be installed; empty: bench/plain
	pkg     string   // of Debian's that has it
	version []string // the program's arguments that make it say its version
	start   func(*Site) Service
	absent  string // why nobody can run it here; empty: it can be
}

// Service is a peer that serves, until it is stopped.
type Service interface {
	// Replace puts a release in the place of the one that serves, if any does, and calls leave
	// when that is about to be told to leave. It returns when the last order is given: the next
	// one may not answer yet, the one before may still leave.
	Replace(ctx context.Context, release string, leave func()) error
	// Stop ends all of its processes.
	Stop()
}

// Site is where a peer is put.
type Site struct {
	Dir   string // for its files, and nobody else's
	Addr  string // where it serves
	Plain string // bench/plain, built: the server in Go
}

// stopBound is for what is told to end, and drains.
const stopBound = 5 * time.Second

// Missing returns why the peer cannot be run on this machine, or nothing.
func (p *Peer) Missing() string {
	if p.program == "" {
		return p.absent
	}
	if _, err := exec.LookPath(p.program); err != nil {
		return fmt.Sprintf("not installed: apt-get install %s", p.pkg)
	}
	return ""
}

// NeedsPlain reports whether the peer is a server of bench/plain, which has to be built.
func (p *Peer) NeedsPlain() bool { return p.program == "" && p.absent == "" }

// Version is what the program says that it is, or nothing.
func (p *Peer) Version() string {
	if p.program == "" {
		return ""
	}
	out, _ := exec.Command(p.program, p.version...).CombinedOutput() // nginx writes to stderr
	return versionIn(string(out))
}

// versionIn returns the first word that begins like one.
func versionIn(text string) string {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \n\t/()", r) }) {
		word = strings.TrimPrefix(word, "v")
		if len(word) > 2 && word[0] >= '0' && word[0] <= '9' && strings.Contains(word, ".") {
			version, _, _ := strings.Cut(word, "-") // Debian's own
			return version
		}
	}
	return ""
}

// Start starts the first release. It does not wait until that answers. What it returns has to
// be stopped.
func (p *Peer) Start(ctx context.Context, site *Site, release string) (Service, error) {
	s := p.start(site)
	if err := s.Replace(ctx, release, func() {}); err != nil {
		s.Stop()
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	return s, nil
}

// All are all peers, in the order of the report.
func All() []Peer { return peers[:] }

// Named returns the peers with these names, or all, in the table's order.
func Named(names string) (picked []Peer, err error) {
	if names == "all" {
		return All(), nil
	}
	asked := map[string]bool{}
	for name := range strings.SplitSeq(names, ",") {
		asked[strings.TrimSpace(name)] = true
	}
	for _, p := range peers {
		if asked[p.Name] {
			picked = append(picked, p)
			delete(asked, p.Name)
		}
	}
	for name := range asked {
		return nil, fmt.Errorf("no peer is called %q, there are all and %s", name, strings.Join(Names(), ","))
	}
	return picked, nil
}

// Names are those of all peers.
func Names() (names []string) {
	for _, p := range peers {
		names = append(names, p.Name)
	}
	return names
}
