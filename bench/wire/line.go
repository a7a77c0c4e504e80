package wire

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Traffic is what happened on a wire.
type Traffic struct {
	Spec      string `json:"spec"`
	ToServers Counts `json:"to_servers"`
	ToClients Counts `json:"to_clients"`
}

// Counts is what happened in one direction.
type Counts struct {
	Packets   int `json:"packets"` // that went in
	Dropped   int `json:"dropped"` // by the dice
	Reordered int `json:"reordered"`
	// Overrun is what the kernel threw away, because this process did not keep up.
	Overrun int `json:"overrun"`
}

// mtu is the longest packet, that of an Ethernet.
const mtu = 1500

// line is one direction: packets go in, and come out when they are due, or never.
type line struct {
	wake chan struct{} // another packet is the next one

	mu     sync.Mutex
	fates  *fates
	flying flight
	last   time.Time // no packet overtakes that is not held back: none is due before this
	newest int       // the number of the youngest packet that is out
	counts Counts
	err    error // why it broke
}

// newLines returns the two directions of a wire.
func newLines(spec Spec, seed uint64) (there, back *line) {
	return newLine(newFates(spec, seed, 1)), newLine(newFates(spec, seed, 2))
}

func newLine(f *fates) *line { return &line{fates: f, wake: make(chan struct{}, 1)} }

// enter takes a packet, which is the line's from now on.
func (l *line) enter(bytes []byte, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Packets++
	fate := l.fates.next()
	if fate.lost {
		l.counts.Dropped++
		return
	}
	p := packet{bytes, now.Add(fate.delay), l.counts.Packets}
	if !fate.held {
		if p.due.Before(l.last) {
			p.due = l.last
		}
		l.last = p.due
	}
	heap.Push(&l.flying, p)
	if l.flying[0].number == p.number {
		select {
		case l.wake <- struct{}{}:
		default: // it has been told, and not looked yet
		}
	}
}

// leave returns the next packet if it is due, or how long it is until then, or nothing
// where none is under way.
func (l *line) leave(now time.Time) (bytes []byte, wait time.Duration, any bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.flying) == 0 {
		return nil, 0, false
	}
	if wait := l.flying[0].due.Sub(now); wait > 0 {
		return nil, wait, true
	}
	p := heap.Pop(&l.flying).(packet)
	if p.number < l.newest {
		l.counts.Reordered++
	}
	l.newest = max(l.newest, p.number)
	return p.bytes, 0, true
}

// carry hands the packets out, each when it is due, until ctx ends.
func (l *line) carry(ctx context.Context, out io.Writer) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		bytes, wait, any := l.leave(time.Now())
		if bytes != nil {
			_, err := out.Write(bytes)
			l.note("hand out a packet", err)
			continue
		}
		timer.Stop()
		if any {
			timer.Reset(wait)
		}
		select {
		case <-timer.C:
		case <-l.wake:
		case <-ctx.Done():
		}
	}
}

// feed takes what comes in, until the device is closed.
func (l *line) feed(in io.Reader) {
	var buf [mtu]byte
	for {
		n, err := in.Read(buf[:])
		if err != nil {
			l.note("take a packet", err)
			return
		}
		l.enter(append([]byte(nil), buf[:n]...), time.Now())
	}
}

// note remembers the first error.
func (l *line) note(what string, err error) {
	if err == nil || errors.Is(err, os.ErrClosed) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = fmt.Errorf("%s: %w", what, err)
	}
}

func (l *line) seen() (Counts, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts, l.err
}
