package wire

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The addresses are of the block for benchmarks, RFC 2544. What is in lo's network is
// local, all of it, so clients call from many addresses: one has some 28 000 ports, and
// what has closed keeps its port for a minute.
const (
	serversAt = "198.18.0.2/15"
	clientsAt = "198.18.0.1/15"
	callersAt = "198.19.0.1/24"
	callers   = 200
)

// ServerAddr is where servers at the far end listen, with a port of theirs.
const ServerAddr = "198.18.0.2:8080"

// Wire is two namespaces, one for clients and one for servers, and what is between them.
type Wire struct {
	spec             string
	clients, servers *end
	there, back      *line // to the servers, to the clients
	cancel           context.CancelFunc
	carrying         sync.WaitGroup
	calls            atomic.Uint32
	closing          sync.Once
}

// Open makes a wire. It has to be closed.
func Open(spec Spec, seed uint64) (*Wire, error) {
	clients, err := newEnd(clientsAt)
	if err != nil {
		return nil, err
	}
	servers, err := newEnd(serversAt)
	if err != nil {
		clients.close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &Wire{spec: spec.String(), clients: clients, servers: servers, cancel: cancel}
	w.there, w.back = newLines(spec, seed)
	w.connect(ctx, w.there, clients, servers)
	w.connect(ctx, w.back, servers, clients)
	if err := clients.do(func() error { return assign("lo:1", netip.MustParsePrefix(callersAt)) }); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// connect sets one direction going.
func (w *Wire) connect(ctx context.Context, l *line, from, to *end) {
	w.carrying.Go(func() { l.feed(from.device) })
	w.carrying.Go(func() { l.carry(ctx, to.device) })
}

// Dial connects to a server at the far end.
func (w *Wire) Dial(addr string, deadline time.Time) (net.Conn, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	var fd int
	err = w.clients.do(func() (err error) {
		fd, err = openSocket()
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect(fd, w.caller(), at, deadline)
}

// caller returns the addresses of callers, in turn.
func (w *Wire) caller() netip.Addr {
	addr := netip.MustParsePrefix(callersAt).Addr().As4()
	addr[3] += byte(w.calls.Add(1) % callers)
	return netip.AddrFrom4(addr)
}

// Start starts a program among the servers. It is killed when this process ends without
// having stopped it, or when the wire is closed.
func (w *Wire) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // when the thread ends that started it
	return w.servers.do(cmd.Start)
}

// Traffic returns what the wire did so far. The error says why it is not what it should
// be.
func (w *Wire) Traffic() (Traffic, error) {
	there, err1 := w.there.seen()
	back, err2 := w.back.seen()
	var err3, err4 error
	there.Overrun, err3 = w.clients.overrun()
	back.Overrun, err4 = w.servers.overrun()
	return Traffic{w.spec, there, back}, errors.Join(err1, err2, err3, err4)
}

// Close takes the wire away. Packets that are under way are lost.
func (w *Wire) Close() {
	w.closing.Do(func() {
		w.cancel()
		w.clients.close()
		w.servers.close()
		w.carrying.Wait()
	})
}

// end is a namespace and the device in it.
type end struct {
	*namespace
	device *os.File
}

func newEnd(addr string) (*end, error) {
	n, err := newNamespace()
	if err != nil {
		return nil, err
	}
	e := &end{namespace: n}
	err = e.do(func() (err error) {
		e.device, err = openDevice(netip.MustParsePrefix(addr))
		return err
	})
	if err != nil {
		e.leave()
		return nil, err
	}
	return e, nil
}

func (e *end) overrun() (dropped int, err error) {
	err = e.do(func() (err error) {
		dropped, err = overrun(deviceName)
		return err
	})
	return dropped, err
}

func (e *end) close() {
	e.device.Close()
	e.leave()
}
