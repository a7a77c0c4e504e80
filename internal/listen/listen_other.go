//go:build !linux

package listen

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
)

const anyCPU = -1

// Sockets: how to know them is not known here.
func Sockets() []uint64 { return nil }

func openFirst(ctx context.Context, network, address string, _ Config) (*socket, error) {
	return open(ctx, network, address)
}

func newKernel(context.Context, *Listener, *socket) (kernel, Tier, error) {
	return polite{}, Tier{Why: "overlap needs Linux, this is " + runtime.GOOS}, nil
}

func onlineCPUs() ([]int, error)                { return nil, errors.ErrUnsupported }
func (l *Listener) cover(context.Context) error { return nil }
func (l *Listener) coverNewCPUs()               {}
func (s *socket) inspect() error                { return nil }
func (s *socket) shutDown() error               { return nil }
func (s *socket) backlog() (int, error)         { return 0, nil }

// polite is for systems other than Linux: they serve, and they stop politely.
type polite struct{}

func (polite) in() error                            { return nil }
func (polite) away() error                          { return nil }
func (polite) rest() error                          { return nil }
func (polite) knock() error                         { return nil }
func (polite) pending() (Pending, error)            { return Pending{}, nil }
func (polite) others() ([]uint64, error)            { return []uint64{0}, nil } // there may be somebody
func (polite) standing() (Pending, []uint64, error) { return Pending{}, []uint64{0}, nil }
func (polite) caught(netip.AddrPort) bool           { return false }
func (polite) release()                             {}
