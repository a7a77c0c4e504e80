package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ba995850/overlap/bench/wire"
)

const serverPackage = "github.com/ba995850/overlap/cmd/server"

// fleet is all releases of a run, in one temporary directory: the binary, and
// for each release a directory of its own with the binary and the log.
type fleet struct {
	dir      string
	addr     string
	wire     *wire.Wire // nil: none, the servers are on this host
	flags    []string
	blind    bool // the servers do not see /proc
	clock    clock
	releases []*release
	trust    *tls.Config  // what clients need to speak TLS; nil: clear text
	opened   atomic.Int64 // connections, of all clients
}

// newFleet builds the server, or takes the one that is given. The fleet has to
// be closed.
func newFleet(ctx context.Context, c config, clock clock) (_ *fleet, err error) {
	dir, err := os.MkdirTemp("", "overlap-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the releases: %w", err)
	}
	f := &fleet{dir: dir, clock: clock, flags: serverFlags(c), blind: c.blind}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if err := f.place(c); err != nil {
		return nil, err
	}
	if c.tls {
		if err := f.secure(c); err != nil {
			return nil, err
		}
	}
	if c.server != "" {
		return f, copyFile(f.binary(), c.server)
	}
	return f, build(ctx, f.binary())
}

// place finds where the servers listen: on this host, or at the far end of a wire.
func (f *fleet) place(c config) (err error) {
	if c.wire == nil {
		f.addr, err = freeAddr(c.addr)
		return err
	}
	if f.wire, err = wire.Open(*c.wire, c.seed); err != nil {
		return fmt.Errorf("open the wire: %w", err)
	}
	f.addr = wire.ServerAddr
	for _, s := range c.sysctls {
		if err := f.wire.Set(s.name, s.value); err != nil {
			return err
		}
	}
	return nil
}

func serverFlags(c config) []string {
	flags := []string{
		"--retire=" + c.retire,
		"--linger-timeout=" + c.linger.String(),
		"--access-log=false",
	}
	if c.h2c {
		flags = append(flags, "--h2c")
	}
	return flags
}

// dialer returns how a client gets to the servers.
func (f *fleet) dialer() dialer {
	return dialer{addr: f.addr, wire: f.wire, tls: f.trust, opened: &f.opened}
}

func (f *fleet) binary() string { return filepath.Join(f.dir, "server") }

// start starts the next release, with more flags than all have. It does not wait until
// that serves.
func (f *fleet) start(more ...string) (*release, error) {
	name := fmt.Sprintf("v%d", len(f.releases)+1)
	dir := filepath.Join(f.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("install %s: %w", name, err)
	}
	binary := filepath.Join(dir, "server")
	// A link, as deploy tools make it: a copy of some 30 MB under load would
	// show in the latencies, and it is the bench's, not the upgrade's.
	if err := os.Link(f.binary(), binary); err != nil {
		return nil, fmt.Errorf("install %s: %w", name, err)
	}
	args := append([]string{"serve", "--addr", f.addr, "--release", name}, slices.Concat(f.flags, more)...)
	if f.blind {
		binary, args = blinded(binary, args)
	}
	p, err := startProcess(name, binary, filepath.Join(dir, "log"), args, f.clock, f.starter())
	if err != nil {
		return nil, err
	}
	r := &release{process: p}
	f.releases = append(f.releases, r)
	return r, nil
}

// starter returns what starts a release where it belongs.
func (f *fleet) starter() func(*exec.Cmd) error {
	if f.wire != nil {
		return f.wire.Start
	}
	return (*exec.Cmd).Start
}

// traffic returns what the wire did, or nil.
func (f *fleet) traffic() (*wire.Traffic, error) {
	if f.wire == nil {
		return nil, nil
	}
	t, err := f.wire.Traffic()
	if err != nil {
		return nil, fmt.Errorf("carry packets over the wire: %w", err)
	}
	return &t, nil
}

// stop stops what still runs.
func (f *fleet) stop() {
	var stopping sync.WaitGroup
	for _, r := range f.releases {
		stopping.Go(r.stop)
	}
	stopping.Wait()
}

// close stops what still runs, takes the wire away, and removes the directory.
func (f *fleet) close() {
	f.stop()
	if f.wire != nil {
		f.wire.Close()
	}
	_ = os.RemoveAll(f.dir) // left to the system's own cleaning of temporary files
}

func build(ctx context.Context, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, serverPackage)
	cmd.WaitDelay = time.Second // when interrupted, do not wait for its compilers
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return fmt.Errorf("build %s: %w (run this inside a checkout, or name a binary with --server)\n%s", serverPackage, err, out)
	}
	return nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("install the server: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return fmt.Errorf("install the server: %w", err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("install the server: %w", err)
	}
	return nil
}

// freeAddr replaces port 0 by one that is free, since all releases must listen
// on the same. A port that was asked for must be free too: the releases would
// share it with whoever listens there.
func freeAddr(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("read --addr: %w", err)
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return "", fmt.Errorf("find a free port: %w (--url drives a service that is running)", err)
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
